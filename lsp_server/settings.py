"""What a client may set, with defaults and words for people.

Owns names, defaults, checks and descriptions (docs/settings.md and the editors' pages come from here). It does not know
LSP. Nothing here can name a model, an interpreter, a log folder or an address: those come from the command line of the
person who installs the server, never from a workspace.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from ..fim.ablations import RULES
from ..fim.text.language_ids import language_id
from ..fim.types import PolicyName

# Confidence is calibrated on programs that are typed (decision 26): of what is .85 to .9 sure, .85 was right in new
# files, of what is surer .91 to .95.
MIN_CONFIDENCE = 0.85
MAX_GLOBS, MAX_GLOB_CHARS = 200, 1_000
LOG_LEVELS = ("debug", "info", "warning", "error")
POLICIES: tuple[str, ...] = get_args(PolicyName)
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's settings, all with defaults; SETTINGS says of each what it means. Times are milliseconds."""

    enabled: bool = True
    budget_ms: float = 300.0
    invoked_budget_ms: float = 2000.0
    min_confidence: float = MIN_CONFIDENCE
    languages: tuple[str, ...] | None = None
    prose: bool = True
    workspace: bool = True
    exclude: tuple[str, ...] = ()
    max_workspace_files: int = 20_000
    settle_ms: float = 100.0
    reuse: bool = True
    prefetch: bool = True
    adaptive_debounce: bool = False
    max_tokens: int | None = None
    max_steps: int = 64
    policy: PolicyName | None = None
    start_engine: bool = True
    log_level: str | None = None
    trace: bool = False
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a setting may be and what it does. check gives the value to take, or raises ValueError saying what it must
    be; about is for people, in Markdown."""

    check: Callable[[object], Any]
    about: str


def read_settings(options: object) -> tuple[Settings, list[str]]:
    """Settings from a client's options, and one line for each that was wrong (its default is taken).

    Names may be written in snake_case or camelCase; null stands for the default.
    """
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["settings: expected an object of names and values; all defaults are used"]
    defaults, values, complaints = Settings(), {}, []
    for name, value in options.items():
        known = snake_case(str(name))
        setting = SETTINGS.get(known)
        if setting is None:
            complaints.append(f"settings: there is no setting {str(name)[:40]!r} (known: {', '.join(SETTINGS)})")
        elif value is not None:
            try:
                values[known] = setting.check(value)
            except ValueError as error:
                complaints.append(f"settings: {name} must be {error}; {getattr(defaults, known)!r} is used")
    return Settings(**values), complaints


def snake_case(name: str) -> str:
    """`minConfidence` as `min_confidence`; what is in snake_case already stays."""
    return _CAMEL.sub(r"_\1", name).lower()


def camel_case(name: str) -> str:
    """`min_confidence` as `minConfidence`, as VS Code has it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _milliseconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 60_000:
        raise ValueError("a number of milliseconds from 1 to 60000")
    return float(value)


def _short_time(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1000:
        raise ValueError("a number of milliseconds from 0 to 1000")
    return float(value)


def _probability(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return float(value)


def _whole_number(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return check


def _languages(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("a list of language ids")
    return tuple(dict.fromkeys(map(language_id, value)))


def _globs(value: object) -> tuple[str, ...]:
    """Patterns match paths below a workspace's root: they name nothing outside."""
    if not isinstance(value, list) or len(value) > MAX_GLOBS:
        raise ValueError(f"a list of at most {MAX_GLOBS} globs")
    if not all(isinstance(glob, str) and 0 < len(glob) <= MAX_GLOB_CHARS for glob in value):
        raise ValueError(f"a list of globs, each of at most {MAX_GLOB_CHARS} characters")
    return tuple(value)


def _rules(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(name in RULES for name in value):
        raise ValueError(f"a list of names among {', '.join(RULES)}")
    return tuple(value)


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"one of {', '.join(names)}, or null")
        return value

    return check


SETTINGS: Mapping[str, Setting] = {
    "enabled": Setting(_boolean, "Make suggestions at all."),
    "budget_ms": Setting(_milliseconds, "Milliseconds that an automatic suggestion may take in the engine."),
    "invoked_budget_ms": Setting(_milliseconds, "The same for a suggestion on request."),
    "min_confidence": Setting(
        _probability,
        "An automatic suggestion is shown only if it is right with at least this probability: a lower one shows more, 0"
        " everything. Suggestions on request are always shown.",
    ),
    "languages": Setting(
        _languages,
        "LSP language ids with automatic suggestions; others get them on request only. null: those that the model was"
        " taught.",
    ),
    "prose": Setting(_boolean, "Make automatic suggestions in comments and docstrings too."),
    "workspace": Setting(
        _boolean,
        "Read other files of the workspace to complete better, but none that its ignore files name; nothing is kept on"
        " disk.",
    ),
    "exclude": Setting(
        _globs, "Globs, as in a `.gitignore` at the workspace's root, of files that are never looked at."
    ),
    "max_workspace_files": Setting(_whole_number(0, 100_000), "The most files that are indexed."),
    "settle_ms": Setting(
        _short_time,
        "Milliseconds that a new suggestion is held back, so that it does not change with every key; 0 shows it at"
        " once. What continues the text on the screen never waits.",
    ),
    "reuse": Setting(
        _boolean,
        "While a suggestion is typed, show the rest of it at once; the same question gets the same answer.",
    ),
    "prefetch": Setting(_boolean, "While a suggestion is shown, ask ahead for what follows it."),
    "adaptive_debounce": Setting(_boolean, "Wait for as long as your fastest keys take before the engine is asked."),
    "max_tokens": Setting(_whole_number(1, 1024), "Most tokens of a suggestion; null leaves it to the engine."),
    "max_steps": Setting(_whole_number(1, 1024), "Most forwards of the model for a suggestion."),
    "policy": Setting(_one_of(POLICIES), f"Unmask policy, one of {', '.join(POLICIES)}; null leaves it to the engine."),
    "start_engine": Setting(_boolean, "Start the engine with the editor; otherwise the first question starts it."),
    "log_level": Setting(
        _one_of(LOG_LEVELS), f"Level of the server's log: {', '.join(LOG_LEVELS)}; null: that of the command line."
    ),
    "trace": Setting(_boolean, "Keep the denoise steps of each answer for `quicksilver/explain`."),
    "without": Setting(
        _rules, "Rules and sources to leave out, by name (`fim/ablations.py`), to measure what they are worth."
    ),
}

assert set(SETTINGS) == {field.name for field in fields(Settings)}
