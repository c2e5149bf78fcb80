"""The settings that a client may change, with defaults and descriptions for people.

Each field of Settings has its type, bounds, default and description; docs/settings.md and the editors' pages are made
from them. Nothing here can name a model, an interpreter, a log folder or an address: those come from the command line
of the person who installs the server, never from a workspace.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta

from ..fim.ablations import FORMER_RULES, RULES
from ..fim.errors import InputError
from ..fim.text.language_ids import language_id
from ..fim.typed_values import typed
from ..fim.types import PolicyName

# Confidence is calibrated on programs that are typed (decision 26): in new files .85 of the texts that are .85 to .9
# sure were right, and .91 to .95 of surer ones.
MIN_CONFIDENCE = 0.85
LogLevel = Literal["debug", "info", "warning", "error"]
Milliseconds = Annotated[float, Meta(ge=1, le=60_000)]
ShortTime = Annotated[float, Meta(ge=0, le=1000)]
Probability = Annotated[float, Meta(ge=0, le=1)]
FileCount = Annotated[int, Meta(ge=0, le=100_000)]
UpTo1024 = Annotated[int, Meta(ge=1, le=1024)]
Globs = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=1000)], ...], Meta(max_length=200)]
LanguageIds = tuple[Annotated[str, Meta(min_length=1)], ...]
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True)
class About:
    """The description of a setting for people, in Markdown."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's settings, all with defaults. Times are milliseconds."""

    enabled: Annotated[bool, About("Make suggestions at all.")] = True
    budget_ms: Annotated[Milliseconds, About("Milliseconds that an automatic suggestion may take in the engine.")] = (
        300.0
    )
    invoked_budget_ms: Annotated[Milliseconds, About("The same for a suggestion on request.")] = 2000.0
    min_confidence: Annotated[
        Probability,
        About(
            "An automatic suggestion is shown only if it is right with at least this probability: a lower one shows"
            " more, 0 everything. Suggestions on request are always shown."
        ),
    ] = MIN_CONFIDENCE
    languages: Annotated[
        LanguageIds | None,
        About(
            "LSP language ids with automatic suggestions; others get them on request only. null: those that the model"
            " was taught."
        ),
    ] = None
    prose: Annotated[bool, About("Make automatic suggestions in comments and docstrings too.")] = True
    workspace: Annotated[
        bool,
        About(
            "Read other files of the workspace to complete better, but none that its ignore files name; nothing is kept"
            " on disk."
        ),
    ] = True
    exclude: Annotated[
        Globs, About("Globs, as in a `.gitignore` at the workspace's root, of files that are never looked at.")
    ] = ()
    max_workspace_files: Annotated[FileCount, About("The most files that are indexed.")] = 20_000
    settle_ms: Annotated[
        ShortTime,
        About(
            "Milliseconds that a new suggestion is held back, so that it does not change with every key; 0 shows it at"
            " once. What continues the text on the screen never waits."
        ),
    ] = 100.0
    reuse: Annotated[
        bool,
        About("While a suggestion is typed, show the rest of it at once; the same question gets the same answer."),
    ] = True
    prefetch: Annotated[bool, About("While a suggestion is shown, ask ahead for what follows it.")] = True
    adaptive_debounce: Annotated[
        bool, About("Wait for as long as your fastest keys take before the engine is asked.")
    ] = False
    max_tokens: Annotated[UpTo1024 | None, About("Most tokens of a suggestion; null leaves it to the engine.")] = None
    max_steps: Annotated[UpTo1024, About("Most forwards of the model for a suggestion.")] = 64
    policy: Annotated[
        PolicyName | None,
        About(f"Unmask policy, one of {', '.join(get_args(PolicyName))}; null leaves it to the engine."),
    ] = None
    start_engine: Annotated[
        bool, About("Start the engine with the editor; otherwise the first question starts it.")
    ] = True
    log_level: Annotated[
        LogLevel | None,
        About(f"Level of the server's log: {', '.join(get_args(LogLevel))}; null: that of the command line."),
    ] = None
    trace: Annotated[bool, About("Keep the denoise steps of each answer for `quicksilver/explain`.")] = False
    without: Annotated[
        tuple[str, ...],
        About("Rules and sources to leave out, by name (`fim/ablations.py`), to measure what they are worth."),
    ] = ()


_TYPES: Mapping[str, Any] = get_type_hints(Settings, include_extras=True)
ABOUT: Mapping[str, str] = {name: kind.__metadata__[-1].text for name, kind in _TYPES.items()}


def read_settings(options: object) -> tuple[Settings, list[str]]:
    """Settings from a client's options, and one line for each wrong one (its default is used).

    Names may be in snake_case or camelCase; null means the default.
    """
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["settings: expected an object of names and values; all defaults are used"]
    defaults, values, complaints = Settings(), {}, []
    for name, value in options.items():
        known = snake_case(str(name))
        if known not in _TYPES:
            complaints.append(f"settings: there is no setting {str(name)[:40]!r} (known: {', '.join(_TYPES)})")
        elif value is not None:
            try:
                values[known] = _read(known, value, f"settings.{name}")
            except InputError as error:
                complaints.append(f"{error}; {json.dumps(getattr(defaults, known))} is used")
    return Settings(**values), complaints


def _read(name: str, value: object, where: str) -> Any:  # noqa: ANN401 (each setting has its own type)
    """The value of a setting. Raises InputError."""
    kind = get_args(_TYPES[name])[0]
    choices = next((get_args(part) for part in get_args(kind) if get_origin(part) is Literal), ())
    if choices and value not in choices:
        raise InputError(f"{where} must be one of {', '.join(choices)}, or null")
    found = typed(value, _TYPES[name], where)
    if name == "languages":
        return tuple(dict.fromkeys(map(language_id, found)))
    if name == "without" and not set(found) <= {*RULES, *FORMER_RULES}:
        raise InputError(f"{where} must be a list of names among {', '.join(RULES)}")
    return found


def snake_case(name: str) -> str:
    """`minConfidence` as `min_confidence`; snake_case stays."""
    return _CAMEL.sub(r"_\1", name).lower()


def camel_case(name: str) -> str:
    """`min_confidence` as `minConfidence`, as in VS Code."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
