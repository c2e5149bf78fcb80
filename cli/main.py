"""The `quicksilver` command: the composition root.

Owns the command line, the exit codes (EXIT_CODES) and the wiring. Each command is imported when it is run, so that
`quicksilver lsp` never pays for another one.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fim.errors import CheckpointError, InputError, QuicksilverError
from ..fim.terminal.arguments import Parser
from ..fim.terminal.logs import log_to_stderr
from ..fim.terminal.options import add_options, read_options
from ..fim.text.printable import one_line
from .core_dumps import no_core_dumps
from .options import (
    CompleteOptions,
    DemoOptions,
    DoctorOptions,
    EditorsOptions,
    LspOptions,
    PlaygroundOptions,
    SettingsOptions,
)

DISTRIBUTION = "quicksilver-lsp"
OPTIONAL = {"torch": "gpu", "triton": "gpu"}  # modules, and the extra that brings them to a person who serves models
EXIT_CODES = (
    "Exit codes: 0 it worked, even if there was nothing to complete; 1 the engine or the system failed; 2 the input or"
    " the command line is wrong; 3 the model does not know the file's language (complete); 130 interrupted."
)
_PASSED_ON = {
    "fetch": "bring a published model to this machine",
    "serve": "run the engine process in the foreground",
    "stop": "stop the engines of this user",
    "train": "prepare data and train a checkpoint",
    "eval": "measure a checkpoint: on held-out holes, on infilling benchmarks, at cursors in small files",
    "bench": "measure latency through the real server and engine",
}


@dataclass(frozen=True)
class Command:
    """A command: its line in the list, the type of its options, its function, and a longer help if it has one."""

    about: str
    options: type[Any]
    run: Callable[[Any], int]
    description: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; never raises on bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    no_core_dumps()
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows only ASCII still gets its answer
    try:
        code = _dispatch(arguments)
        print(end="", flush=True)  # what is still buffered may fail now, not while Python ends
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone: point stdout elsewhere, or the interpreter complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        print(f"quicksilver: {one_line(f'{error.strerror or error}{where}')}", file=sys.stderr)
        return 1
    except QuicksilverError as error:
        print(f"quicksilver: {one_line(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, InputError | CheckpointError) else 1
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        command = next((word for word in arguments if not word.startswith("-")), "")
        extra = OPTIONAL[error.name] if command not in ("train", "bench") else command
        print(f"quicksilver: this needs {error.name}: pip install '{DISTRIBUTION}[{extra}]'", file=sys.stderr)
        return 2


def _open_standard_streams() -> None:
    """Open the null device for stdin, stdout or stderr if it was closed when we started: Python then has none."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (until the process ends)


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in _PASSED_ON:
        return _pass_on(arguments[0], arguments[1:])
    found = _parser().parse_args(arguments)
    command = COMMANDS[found.command]
    return command.run(read_options(command.options, found))


def _pass_on(command: str, arguments: list[str]) -> int:
    """Commands that read their own command line."""
    if command == "fetch":
        from ..fetch.command import main as fetch

        return fetch(arguments)
    if command == "serve":
        from .serve import main as serve

        return serve(arguments)
    if command == "stop":
        from .stop import main as stop

        return stop(arguments)
    if command in ("bench", "eval"):  # what they started ends with them
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if command == "bench":
        from ..benchmarks.bench import main as bench

        return bench(arguments)
    if command == "eval":
        from ..benchmarks.evaluate import main as evaluate

        return evaluate(arguments)
    from ..training.cli import main as train

    return train(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="quicksilver", description="Local code completion by masked diffusion.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"quicksilver {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, command in COMMANDS.items():
        epilog = EXIT_CODES if command.description else None
        own = commands.add_parser(name, help=command.about, description=command.description, epilog=epilog)
        add_options(own, command.options)
    for name, about in _PASSED_ON.items():
        commands.add_parser(name, help=about, add_help=False)
    return parser


def _lsp(options: LspOptions) -> int:
    log_to_stderr(options.log_level)
    from ..lsp_server.protocol.quick_import import collector_paused

    model, version = options.model, _version()
    if options.tcp is not None:
        from ..lsp_server.server import CompletionServer
        from ..lsp_server.tcp import read_address, run_tcp
        from .shared_engine import shared_engine

        return run_tcp(read_address(options.tcp), lambda: CompletionServer(shared_engine(model), version))
    from ..lsp_server.protocol.editor_watch import EditorWatch

    watch = EditorWatch(sys.stdin.fileno())  # early, while the process that it copies is small
    with collector_paused():
        from ..lsp_server.stdio import run_stdio
        from .shared_engine import shared_engine
    return run_stdio(shared_engine(model), version, watch)


def _editors(options: EditorsOptions) -> int:
    from .editor_setup import run_editors

    return run_editors(options.editor, options.path)


def _settings(options: SettingsOptions) -> int:
    from .settings_page import settings_page, show_settings

    if sys.stdout.isatty() and not options.markdown:
        show_settings()
    else:
        print(settings_page(), end="")
    return 0


def _complete(options: CompleteOptions) -> int:
    if options.elsewhere is not None and options.arms is not None:
        from .elsewhere import run_elsewhere

        return run_elsewhere(options, options.elsewhere, options.arms)
    from .complete import run_complete

    return run_complete(options)


def _doctor(options: DoctorOptions) -> int:
    from .doctor import run_doctor

    return run_doctor(options.model, options.timeout_s, _version())


def _demo(options: DemoOptions) -> int:
    import asyncio

    from ..fetch.command import for_demo
    from .demo import run_demo
    from .shared_engine import shared_engine

    def fetch_first() -> None:
        if options.model is None and for_demo(options.yes):
            asyncio.run(shared_engine(None).shutdown())  # one that runs has not chosen among all models

    return run_demo(options.examples, options.model, fetch_first, options.timeout_s)


def _playground(options: PlaygroundOptions) -> int:
    from .playground import run_playground

    return run_playground(options)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown (not installed)"


COMMANDS = {
    "lsp": Command("the language server (editors start it)", LspOptions, _lsp),
    "complete": Command(
        "complete a file at a place, as an editor would",
        CompleteOptions,
        _complete,
        "Print what an editor would show at a place while you type, or with --invoke what it shows on request. The text"
        " goes to stdout, the rest to stderr. On a terminal control characters in it are escaped; in a pipe it is"
        " exact.",
    ),
    "doctor": Command("check the installation, part by part", DoctorOptions, _doctor),
    "demo": Command("watch it fill holes cut from real files", DemoOptions, _demo),
    "playground": Command(
        "a page in the browser: watch holes being filled, step by step",
        PlaygroundOptions,
        _playground,
        "Open a page on this machine that fills holes in code that you type, and shows each step beside the same hole"
        " written left to right. It serves that page until Ctrl+C.",
    ),
    "editors": Command("where the editor plugins are, and how to set one up", EditorsOptions, _editors),
    "settings": Command("what editors can set, as a table", SettingsOptions, _settings),
}
