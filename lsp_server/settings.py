"""What a client may set through `initializationOptions`, with defaults.

Owns names, defaults and checks. It does not know LSP. Nothing here can name a model, an interpreter, a log folder or an
address: those come from the command line of the person who installs the server, never from a workspace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from ..fim.rules import RULES
from ..fim.types import PolicyName

# What is shown is right this likely: then, for 1,000 characters typed in packages that neither model nor rankers have
# seen, 27 wrong ones were on show for a quarter of a second (`quicksilver bench replay`, docs/log.md, 2026-11-22).
MIN_CONFIDENCE = 0.92
MAX_GLOBS, MAX_GLOB_CHARS = 200, 1_000
LOG_LEVELS = ("debug", "info", "warning", "error")
POLICIES: tuple[str, ...] = get_args(PolicyName)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's settings; every one has a default, times are milliseconds.

    enabled: answer at all. budget_ms: for automatic requests. invoked_budget_ms: when a person asked by hand.
    min_confidence: automatic answers show only what is right at least this likely (0 shows all; answers asked for by
    hand always are shown whole). reuse: while a person types what is shown, show what is left of it instead of asking
    again; the same question gets the same answer. prefetch: while a text is on show, ask for what follows it.
    adaptive_debounce: ask the engine only when the next key has not come as soon as this person's fastest keys do.
    prose: answer automatically in comments and docstrings too.
    max_tokens: longest answer (None: the engine's choice). max_steps: most forwards that an answer takes. languages:
    LSP language ids answered automatically. policy: unmask policy (None: the engine's choice). trace: keep the denoise
    steps for `quicksilver/explain`. start_engine: start the engine process when the editor starts, not at the first
    request. log_level: of the log. workspace: show the model texts from other files of the workspace too. exclude:
    globs, as in a .gitignore at the workspace's root, of files that are left out. max_workspace_files: the most that
    are indexed. without: rules and sources that are left out, by name, to see what they are good for (`bench replay
    --ablate`).
    """

    enabled: bool = True
    budget_ms: float = 300.0
    invoked_budget_ms: float = 2000.0
    min_confidence: float = MIN_CONFIDENCE
    reuse: bool = True
    prefetch: bool = True
    adaptive_debounce: bool = False
    prose: bool = True
    max_tokens: int | None = None
    max_steps: int = 64
    languages: tuple[str, ...] = ("python",)
    policy: PolicyName | None = None
    trace: bool = False
    start_engine: bool = True
    log_level: str | None = None
    workspace: bool = True
    exclude: tuple[str, ...] = ()
    max_workspace_files: int = 20_000
    without: tuple[str, ...] = ()


def read_settings(options: object) -> tuple[Settings, list[str]]:
    """Settings from a client's options, and one line for each that was wrong (its default is taken)."""
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["settings: expected an object of names and values; all defaults are used"]
    defaults, values, complaints = Settings(), {}, []
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is None:
            complaints.append(f"settings: there is no setting {str(name)[:40]!r} (known: {', '.join(_CHECKS)})")
            continue
        try:
            values[name] = check(value)
        except ValueError as error:
            complaints.append(f"settings: {name} must be {error}; {getattr(defaults, name)!r} is used")
    return Settings(**values), complaints


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _milliseconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 60_000:
        raise ValueError("a number of milliseconds from 1 to 60000")
    return float(value)


def _probability(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError("a number from 0 to 1")
    return float(value)


def _max_tokens(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1024:
        raise ValueError("a whole number from 1 to 1024, or null")
    return value


def _max_steps(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1024:
        raise ValueError("a whole number from 1 to 1024")
    return value


def _languages(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("a list of language ids")
    return tuple(value)


def _globs(value: object) -> tuple[str, ...]:
    """Patterns match paths below a workspace's root: they name nothing outside."""
    if not isinstance(value, list) or len(value) > MAX_GLOBS:
        raise ValueError(f"a list of at most {MAX_GLOBS} globs")
    if not all(isinstance(glob, str) and 0 < len(glob) <= MAX_GLOB_CHARS for glob in value):
        raise ValueError(f"a list of globs, each of at most {MAX_GLOB_CHARS} characters")
    return tuple(value)


def _max_files(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100_000:
        raise ValueError("a whole number from 0 to 100000")
    return value


def _rules(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(name in RULES for name in value):
        raise ValueError(f"a list of names among {', '.join(RULES)}")
    return tuple(value)


def _policy(value: object) -> str | None:
    if value is not None and value not in POLICIES:
        raise ValueError(f"one of {', '.join(POLICIES)}, or null")
    return value if isinstance(value, str) else None


def _log_level(value: object) -> str | None:
    if value is not None and value not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}, or null")
    return value if isinstance(value, str) else None


_CHECKS: Mapping[str, Callable[[object], Any]] = {
    "enabled": _boolean,
    "budget_ms": _milliseconds,
    "invoked_budget_ms": _milliseconds,
    "min_confidence": _probability,
    "reuse": _boolean,
    "prefetch": _boolean,
    "adaptive_debounce": _boolean,
    "prose": _boolean,
    "max_tokens": _max_tokens,
    "max_steps": _max_steps,
    "languages": _languages,
    "policy": _policy,
    "trace": _boolean,
    "start_engine": _boolean,
    "log_level": _log_level,
    "workspace": _boolean,
    "exclude": _globs,
    "max_workspace_files": _max_files,
    "without": _rules,
}

assert set(_CHECKS) == {field.name for field in fields(Settings)}
