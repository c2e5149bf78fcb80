"""JSON of others as typed values, and ours as JSON.

Beside what `fim.typed_values` refuses: unknown keys are an error unless the caller says otherwise, numbers are finite,
and lone surrogates pass.
"""

import dataclasses
import json
import math
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
        value = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise InputError(f"{where} is not valid JSON ({type(error).__name__})") from None
    if not allows_more:
        _refuse_unknown(value, kind, where)
    return typed(value, kind, where)


def as_json(value: object) -> bytes:
    """A dataclass, or what JSON knows, as JSON in UTF-8 (surrogates pass). Raises ValueError for NaN."""
    text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _refuse_unknown(value: object, kind: Any, where: str) -> None:  # noqa: ANN401 - any type hint
    """Raises InputError for a key that kind's dataclass has not, at any depth."""
    if isinstance(value, dict) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        unknown = sorted(value.keys() - hints.keys())
        if unknown:
            raise InputError(f"{where} has an unknown key {unknown[0][:40]!a}")
        for key, each in value.items():
            _refuse_unknown(each, hints[key], f"{where}.{key}")
    elif isinstance(value, list) and get_args(kind):
        for i, each in enumerate(value):
            _refuse_unknown(each, get_args(kind)[0], f"{where}[{i}]")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text[:20])


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not a number that JSON knows")
