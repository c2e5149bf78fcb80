"""Options written once: the fields of a frozen dataclass say what a command line may give and what it may be.

::

    @dataclass(frozen=True, kw_only=True)
    class Plan:
        n_keys: Annotated[int, Option("characters to type", least=1)] = 200    # --keys KEYS, with "(200)" in the help

A field's type says how its text is read: `bool` is a switch, a Literal names the choices, a tuple takes several values.
A field whose type is such a dataclass brings its own options. Without a default an option must be given. What concerns
several options is checked in the dataclass's `__post_init__`.
"""

import argparse
import math
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import InputError
from ..models.embedded import NAMES, find_model
from .arguments import Parser

T = TypeVar("T")
KINDS_OF_MODEL = f"{', '.join(NAMES)}, a checkpoint folder, or a GGUF file"
_LARGE = 100_000  # from here on numbers are written with commas


@dataclass(frozen=True)
class Option:
    """What a field says of its option besides type and default.

    about: its help, to which a default is added. flag: `--keys` for a field `keys` or `n_keys`, unless said. read:
    turns the text into the value, as argparse's `type`. text: what is read if nothing is given. group: one of the
    options with this name must be given. commas: numbers or names with commas between. repeats: one value each time the
    option is given. least, above, most: of a number.
    """

    about: str
    _: KW_ONLY
    flag: str | None = None
    metavar: str | None = None
    choices: Sequence[str] | None = None
    read: Callable[[str], Any] | None = None
    text: str | None = None
    nargs: str | None = None
    group: str | None = None
    positional: bool = False
    commas: bool = False
    repeats: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None

    def is_in_bounds(self, value: float) -> bool:
        """Whether a number is one that may be given; NaN and infinity never are."""
        most = math.inf if self.most is None else self.most
        is_too_small = (self.least is not None and value < self.least) or (
            self.above is not None and value <= self.above
        )
        return value <= most and abs(value) != math.inf and not is_too_small

    def bounds(self, kind: type) -> str:
        """What a number must be, after "must be"."""
        if self.above is not None:
            return "positive" if self.most is None else f"positive and at most {_number(self.most)}"
        if self.least is None or self.most is None:
            number, word = (self.most, "at most") if self.least is None else (self.least, "at least")
            return ("a number, " if kind is float else "") + f"{word} {_number(number or 0)}"
        return f"from {_number(self.least)} to {_number(self.most)}"


@dataclass(frozen=True)
class _Field:
    """A field that is an option: how it is called, the type of one value, whether it takes several, its default."""

    name: str
    option: Option
    kind: Any
    takes_many: bool
    default: object
    is_needed: bool

    @property
    def flag(self) -> str:
        """How it is spelt on a command line."""
        return self.option.flag or "--" + self.name.removeprefix("n_").replace("_", "-")


def model_option(about: str = KINDS_OF_MODEL, *, default: str | None = None) -> Option:
    """`--model`: a name, a checkpoint folder or a GGUF file.

    default: the name of what stands in if nothing is given; without it the engine chooses.
    """
    if default is not None:
        about = f"{about} (default: {default})"
    elif about == KINDS_OF_MODEL:
        about += " (default: the best installed one that is fast enough on this machine)"
    return Option(about, metavar="MODEL", read=_model, text=default)


def add_options(parser: argparse.ArgumentParser, kind: type) -> None:
    """Give a parser the options of a dataclass."""
    groups: dict[str, Any] = {}
    for each in _options(kind):
        group = each.option.group
        if group is not None and group not in groups:
            groups[group] = parser.add_mutually_exclusive_group(required=True)
        place = parser if group is None else groups[group]
        if each.option.positional:
            place.add_argument(each.name, **_argument(each))
        else:
            needed = {"required": True} if each.is_needed and each.option.text is None else {}
            place.add_argument(each.flag, dest=each.name, **needed, **_argument(each))


def read_options(kind: type[T], found: argparse.Namespace) -> T:
    """The dataclass of what a parser found. Raises InputError for values that are out of bounds."""
    given: dict[str, Any] = {}
    for each in _parts(kind):
        if not isinstance(each, _Field):
            given[each[0]] = read_options(each[1], found)
        elif getattr(found, each.name, None) not in (None, []):
            given[each.name] = _checked(each, getattr(found, each.name))
    return kind(**given)


def read_command_line(kind: type[T], argv: Sequence[str], *, prog: str, description: str) -> T:
    """The options of a command that has no others. Raises InputError; --help prints and raises SystemExit(0)."""
    parser = Parser(prog=prog, description=description)
    add_options(parser, kind)
    return read_options(kind, parser.parse_args(list(argv)))


def _options(kind: type) -> Iterator[_Field]:
    """The options of a dataclass and of those in it, in the order of its fields."""
    for each in _parts(kind):
        if isinstance(each, _Field):
            yield each
        else:
            yield from _options(each[1])


def _parts(kind: type) -> Iterator[_Field | tuple[str, type]]:
    """The fields that are options, and names and types of those that are dataclasses."""
    hints = get_type_hints(kind, include_extras=True)
    for each in fields(kind):
        hint = hints[each.name]
        said = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Option)]
        if said:
            yield _field(each, get_args(hint)[0], said[0])
        elif is_dataclass(hint) and isinstance(hint, type):
            yield each.name, hint


def _field(each: "Field[Any]", hint: Any, said: Option) -> _Field:  # noqa: ANN401 (a type, or a Union)
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    takes_many = get_origin(hint) is tuple
    return _Field(
        name=each.name,
        option=said,
        kind=get_args(hint)[0] if takes_many else hint,
        takes_many=takes_many,
        default=each.default,
        is_needed=each.default is MISSING and each.default_factory is MISSING,
    )


def _argument(each: _Field) -> dict[str, Any]:
    """What add_argument is told."""
    said = each.option
    unsaid = None if said.positional else argparse.SUPPRESS  # argparse would read SUPPRESS as a positional's text
    named: dict[str, Any] = {"help": _help(each), "default": said.text or unsaid}
    if each.kind is bool:
        return {**named, "action": "store_true"}
    choices = get_args(each.kind) if get_origin(each.kind) is Literal else said.choices
    if not said.commas:
        named |= {"type": said.read or each.kind} if choices is None else {"choices": tuple(choices)}
    if said.metavar is not None or not (said.positional or "choices" in named):
        named["metavar"] = said.metavar or each.flag[2:].replace("-", "_").upper()
    if said.commas or said.repeats:
        named["action"] = "append"
    elif each.takes_many or said.nargs is not None:
        named["nargs"] = said.nargs or "+"
    return named


def _help(each: _Field) -> str:
    """about with the default, where that is a word or a number."""
    default = ",".join(map(str, each.default)) or None if isinstance(each.default, tuple) else each.default
    if isinstance(default, bool) or not isinstance(default, int | float | str | Path):
        return each.option.about
    return f"{each.option.about} ({f'{default:g}' if isinstance(default, float) else default})".strip()


def _checked(each: _Field, value: Any) -> Any:  # noqa: ANN401 (an option's type)
    said = each.option
    if said.commas:
        return _separated(each, ",".join(value))
    has_bounds = (said.least, said.above, said.most) != (None, None, None)
    if has_bounds and not said.is_in_bounds(value):
        raise InputError(f"{each.flag} must be {said.bounds(each.kind)}, not {value}")
    return tuple(value) if each.takes_many else value


def _separated(each: _Field, text: str) -> tuple[Any, ...]:
    """The numbers or names of a text with commas, each once if they are names."""
    said, parts = each.option, [part.strip() for part in text.split(",")]
    if each.kind is int:
        if not all(part.isdecimal() and said.is_in_bounds(int(part)) for part in parts):
            raise InputError(f"{each.flag} must be numbers {said.bounds(int)} with commas between, not {text!r}")
        return tuple(map(int, parts))
    if said.choices is not None and not set(parts) <= set(said.choices):
        raise InputError(f"{each.flag} must be {', '.join(said.choices)}, with commas between, not {text!r}")
    return tuple(dict.fromkeys(parts))


def _number(value: float) -> str:
    return f"{value:,}" if value >= _LARGE else f"{value:g}"


def _model(text: str) -> Path:
    """find_model as argparse wants it: ArgumentTypeError becomes the parser's one line."""
    try:
        return find_model(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
