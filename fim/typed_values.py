"""Converts untrusted JSON values to typed ones, or says in one clear line what is wrong.

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
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_BOUNDS = {">=": "at least", "<=": "at most"}
_WRONG = re.compile(
    r"Expected `(?P<wanted>[^`]+)`(?:(?P<length> of length)? (?P<bound>>=|<=)?\s?(?P<number>-?[\d.]+))?"
    r"(?:, got (?P<got>.+))?"
)
_HALF = re.compile("[\ud800-\udfff]")


def typed(value: object, kind: type[T], where: str) -> T:
    """value as a kind; where names it in messages. Raises InputError."""
    try:
        return _convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(_in_our_words(str(error), where)) from None
    except UnicodeEncodeError:  # half a character where no text is expected
        raise InputError(f"{where} has half a character of UTF-16 in a place where no text belongs") from None


def _convert(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError:  # perhaps in an unknown key
        return msgspec.convert(_with_whole_keys(value), kind)


def _with_whole_keys(value: object) -> object:
    """The same without keys that hold half a character: none of ours do."""
    if isinstance(value, dict):
        return {key: _with_whole_keys(each) for key, each in value.items() if not _HALF.search(str(key))}
    return [_with_whole_keys(each) for each in value] if isinstance(value, list) else value


def _in_our_words(message: str, where: str) -> str:
    """msgspec's message in our words: `request.hole.prefix must be a string, not a whole number`."""
    said, _, at = message.partition(" - at `")
    place = where + at.removesuffix("`").removeprefix("$")
    missing = _MISSING.fullmatch(said)
    if missing is not None:
        return f"{place}.{missing[1]} is missing"
    wrong = _WRONG.fullmatch(said)
    if wrong is not None:
        wanted = " or ".join(_NAMES.get(each, each) for each in wrong["wanted"].split(" | "))
        number = (wrong["number"] or "").removesuffix(".0")
        if wrong["length"]:
            wanted += f" of {_BOUNDS.get(wrong['bound'], '')} {number}".replace("  ", " ")
        elif wrong["bound"]:
            wanted += f", {_BOUNDS[wrong['bound']]} {number}"
        got = (wrong["got"] or "").strip("`")
        return f"{place} must be {wanted}" + (f", not {_NAMES.get(got, got)}" if got else "")
    if said.startswith("Invalid enum value"):
        return f"{place} is not one of the known values"
    return f"{place}: {'the number is too large' if said == 'Number out of range' else said}"
