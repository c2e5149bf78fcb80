"""JSON from others as typed values, and ours as JSON.

Adds to `fim.typed_values`: unknown keys are an error unless the caller says otherwise, numbers are finite, and lone
surrogates pass.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import msgspec

from ..fim.errors import InputError
from ..fim.typed_values import typed

T = TypeVar("T")


def read_json(data: bytes, kind: type[T], where: str, *, allows_more: bool = False) -> T:
    """A value of a dataclass in data (UTF-8; lone surrogates pass, escaped or raw); where names it in messages.

    allows_more: keys that the dataclass has not are ignored. Raises InputError.
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise InputError(f"{where} is not valid JSON ({type(error).__name__})") from None
    return read_value(value, kind, where, allows_more=allows_more)


def read_value(value: object, kind: type[T], where: str, *, allows_more: bool = False) -> T:
    """As `read_json`, of a value that has been read from JSON or the like already. Raises InputError."""
    _check(value, kind, where, allows_more=allows_more)
    return typed(value, kind, where)


def as_json(value: object) -> bytes:
    """A dataclass, or what JSON knows, as JSON in UTF-8; surrogates pass. Raises ValueError for NaN and the like."""
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _check(value: object, kind: Any, where: str, *, allows_more: bool) -> None:  # noqa: ANN401 - any type hint
    """Raises InputError for a number that is not finite and, unless allows_more, for a key that kind's dataclass has
    not, at any depth. What stands below unknown keys is not looked at."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} must be a finite number")
    if isinstance(value, dict) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        unknown = sorted(value.keys() - hints.keys())
        if unknown and not allows_more:
            raise InputError(f"{where} has an unknown key {unknown[0][:40]!a}")
        for key in value.keys() & hints.keys():
            _check(value[key], hints[key], f"{where}.{key}", allows_more=allows_more)
    elif isinstance(value, dict | list) and get_args(kind):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for i, each in items:
            place = f"{where}[{i}]" if isinstance(value, list) else f"{where} value"
            _check(each, get_args(kind)[-1 if isinstance(value, dict) else 0], place, allows_more=allows_more)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _plain(value: object) -> object:
    """Numbers, texts and mappings of other libraries, such as NumPy's and PyTorch's version, as Python's own."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{type(value).__name__} is nothing that JSON knows")


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not a number that JSON knows")
