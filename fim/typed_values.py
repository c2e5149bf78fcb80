"""Untrusted values (what JSON holds) as typed ones, with one clear line where something is wrong.

msgspec reads dataclasses and Structs: types are exact (true is not 1, "3" is not 3), and what `__post_init__` refuses
is refused here. No message quotes a text.
"""

import re
from typing import TypeVar

import msgspec

from .errors import InputError

T = TypeVar("T")
_NAMES = {
    "str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "null",
}  # fmt: skip
_BOUNDS = {">=": "at least", "<=": "at most"}
_WRONG = re.compile(
    r"Expected `(?P<wanted>[^`]+)`(?: of length (?P<length>\d+)| (?P<bound>>=|<=) (?P<number>[\d.]+))?"
    r"(?:, got (?P<got>.+))?"
)


def typed(value: object, kind: type[T], where: str) -> T:
    """value as a kind; where names it in messages. Raises InputError."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(_in_words(str(error), where)) from None


def _in_words(message: str, where: str) -> str:
    """msgspec's message in our words: `request.hole.prefix must be a string, not a whole number`."""
    said, _, at = message.partition(" - at `")
    place = where + at.removesuffix("`").removeprefix("$")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", said)
    if missing is not None:
        return f"{place}.{missing[1]} is missing"
    wrong = _WRONG.fullmatch(said)
    if wrong is not None:
        wanted = " or ".join(_NAMES.get(each, each) for each in wrong["wanted"].split(" | "))
        if wrong["length"]:
            wanted += f" of {wrong['length']}"
        if wrong["bound"]:
            wanted += f", {_BOUNDS[wrong['bound']]} {float(wrong['number']):g}"
        got = (wrong["got"] or "").strip("`")
        return f"{place} must be {wanted}" + (f", not {_NAMES.get(got, got)}" if got else "")
    if said.startswith("Invalid enum value"):
        return f"{place} is none of the values that are known"
    return f"{place}: {said}"
