"""Options of the commands that run in the front end; each other command owns its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from ..fim.errors import InputError
from ..fim.terminal.options import Option, model_option
from ..fim.types import PolicyName
from .editor_setup import EDITORS

MAX_S = 86_400.0  # longest --timeout-s


@dataclass(frozen=True, kw_only=True)
class LspOptions:
    """What `quicksilver lsp` was asked."""

    stdio: Annotated[bool, Option("over stdin and stdout, as without any option")] = False
    tcp: Annotated[
        str | None,
        Option("on a port of this machine, for any number of editors (0: a free one)", metavar="[HOST:]PORT"),
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Option("of the log on stderr")] = "info"
    model: Annotated[Path | None, model_option()] = None


@dataclass(frozen=True, kw_only=True)
class CompleteOptions:
    """What `quicksilver complete` was asked."""

    target: Annotated[
        str, Option("line and character column, counted from 1", metavar="FILE:LINE:COL", positional=True)
    ]
    invoke: Annotated[bool, Option("ask as with the completion key: the best guess, however unsure")] = False
    json: Annotated[bool, Option("print all facts as JSON, the exact text among them")] = False
    trace: Annotated[bool, Option("show the canvas after every step")] = False
    trace_svg: Annotated[Path | None, Option("write that as a picture to FILE", metavar="FILE")] = None
    verbose: Annotated[bool, Option("say which model answered, and why that one is served")] = False
    budget_ms: Annotated[float, Option("for the engine's answer", metavar="MS", least=1, most=60_000)] = 2000.0
    policy: Annotated[
        PolicyName | None, Option(f"which predictions to commit: {', '.join(get_args(PolicyName))}", metavar="NAME")
    ] = None
    max_tokens: Annotated[int | None, Option("longest answer", metavar="N", least=1, most=1024)] = None
    timeout_s: Annotated[float, Option("give up after this long, all in all", above=0, most=MAX_S)] = 120.0
    model: Annotated[Path | None, model_option()] = None
    elsewhere: Annotated[
        str | None,
        Option("ask a server of the file --arms instead: the text around the place is sent to it", metavar="NAME"),
    ] = None
    arms: Annotated[Path | None, Option("a TOML file that names servers elsewhere", metavar="FILE")] = None

    def __post_init__(self) -> None:
        if (self.elsewhere is None) != (self.arms is None):
            raise InputError(
                "--elsewhere NAME and --arms FILE go together: a file of servers, and which of them to ask"
            )
        ours = {"--trace": self.trace, "--trace-svg": self.trace_svg, "--policy": self.policy, "--model": self.model}
        given = [flag for flag, value in ours.items() if value]
        if self.elsewhere is not None and given:
            raise InputError(f"{given[0]} is about models of this machine: leave it out with --elsewhere")


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """What `quicksilver doctor` was asked."""

    timeout_s: Annotated[float, Option("give up on the engine after this long", above=0, most=MAX_S)] = 120.0
    model: Annotated[Path | None, model_option()] = None


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What `quicksilver demo` was asked."""

    examples: Annotated[Path | None, Option("another folder with a holes.toml", metavar="FOLDER")] = None
    yes: Annotated[bool, Option("fetch the model coder first, without asking")] = False
    timeout_s: Annotated[float, Option("give up after this long, all in all", above=0, most=MAX_S)] = 300.0
    model: Annotated[Path | None, model_option()] = None


@dataclass(frozen=True, kw_only=True)
class PlaygroundOptions:
    """What `quicksilver playground` was asked."""

    no_browser: Annotated[bool, Option("only print the page's address")] = False
    port: Annotated[int, Option("of this machine, for the page (0: a free one)", metavar="N", least=0, most=65_535)] = 0
    model: Annotated[Path | None, model_option()] = None


@dataclass(frozen=True, kw_only=True)
class EditorsOptions:
    """What `quicksilver editors` was asked."""

    editor: Annotated[
        str | None,
        Option(f"one of {', '.join(EDITORS)}", metavar="NAME", choices=EDITORS, nargs="?", positional=True),
    ] = None
    path: Annotated[bool, Option("print only the folder of the plugin")] = False


@dataclass(frozen=True, kw_only=True)
class SettingsOptions:
    """What `quicksilver settings` was asked."""

    markdown: Annotated[bool, Option("docs/settings.md, also on a terminal")] = False
