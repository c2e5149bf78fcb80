"""Reading untrusted JSON: one object, key by key, with one clear line when something is wrong.

Owns the strictness: types are exact (true is not 1), numbers finite and not negative, left-over keys an error where the
caller says so. It does not know what the keys mean.
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from ..fim.errors import InputError

T = TypeVar("T")
FieldReader = Callable[[object, str], T]

_MISSING: Any = object()


def parse_object(data: bytes, where: str) -> "Fields":
    """The JSON object in data (UTF-8; lone surrogates pass, escaped or raw). Raises InputError."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise InputError(f"{where} is not valid JSON ({type(error).__name__})") from None
    return Fields(value, where)


class Fields:
    """A JSON object being read: take() each key, then finish() refuses what is left over."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise InputError(f"{where} must be a JSON object, not {_kind(value)}")
        self._values: dict[str, object] = value
        self._where = where
        self._taken: set[str] = set()

    def take(self, key: str, read: FieldReader[T], default: T = _MISSING) -> T:
        """The value of key as read makes it; default (if given) where the key is absent. Raises InputError."""
        self._taken.add(key)
        if key in self._values:
            return read(self._values[key], f"{self._where}.{key}")
        if default is _MISSING:
            raise InputError(f"{self._where}.{key} is missing")
        return default

    def finish(self) -> None:
        """Refuse the keys that nobody took."""
        unknown = sorted(self._values.keys() - self._taken)
        if unknown:
            raise InputError(f"{self._where} has an unknown key {unknown[0][:40]!a}")


def as_text(value: object, where: str) -> str:
    """Any string."""
    return value if isinstance(value, str) else _refuse(value, where, "a string")


def as_bool(value: object, where: str) -> bool:
    """true or false."""
    return value if isinstance(value, bool) else _refuse(value, where, "true or false")


def as_count(value: object, where: str) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return _refuse(value, where, "a whole number, 0 or more")


def as_number(value: object, where: str) -> float:
    """A finite number, 0 or more."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _as_float(value)
        if math.isfinite(number) and number >= 0:
            return number
    return _refuse(value, where, "a finite number, 0 or more")


def as_fact(value: object, where: str) -> str | int | float:
    """A string or a finite number."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _refuse(value, where, "a string or a number")


def as_pair(value: object, where: str) -> tuple[int, int]:
    """[start, end], two whole numbers."""
    numbers = list_of(as_count)(value, where)
    return (numbers[0], numbers[1]) if len(numbers) == 2 else _refuse(value, where, "a list of two numbers")


def optional(read: FieldReader[T]) -> FieldReader[T | None]:
    """null, or what read accepts."""
    return lambda value, where: None if value is None else read(value, where)


def one_of(names: Sequence[str]) -> FieldReader[Any]:
    """One of the given strings."""

    def read(value: object, where: str) -> str:
        if isinstance(value, str) and value in names:
            return value
        return _refuse(value, where, "one of " + ", ".join(names))

    return read


def list_of(read: FieldReader[T], n_max: int | None = None) -> FieldReader[tuple[T, ...]]:
    """A list of what read accepts, at most n_max long."""

    def read_all(value: object, where: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            return _refuse(value, where, "a list")
        if n_max is not None and len(value) > n_max:
            raise InputError(f"{where} may hold at most {n_max}, not {len(value)}")
        return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(value))

    return read_all


def mapping_of(read: FieldReader[T]) -> FieldReader[dict[str, T]]:
    """An object whose values read accepts."""

    def read_all(value: object, where: str) -> dict[str, T]:
        if not isinstance(value, dict):
            return _refuse(value, where, "an object")
        return {key: read(item, f"{where} value") for key, item in value.items()}

    return read_all


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _refuse(value: object, where: str, wanted: str) -> NoReturn:
    raise InputError(f"{where} must be {wanted}, not {_kind(value)}")


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not a number that JSON knows")


def _kind(value: object) -> str:
    """What value is, without its text: user text must not reach messages and logs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.6g}" if abs(_as_float(value)) < math.inf else "a number too large"
    names = {str: "a string", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), type(value).__name__)
