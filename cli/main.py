"""The `quicksilver` command: the composition root.

Owns the command line, exit codes and what is wired to what; each command is imported when it is asked for, so that
`quicksilver lsp` never pays for another one. EXIT_CODES says what the exit codes mean. It does not know how any command
works.
"""

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from ..fim.errors import CheckpointError, InputError, QuicksilverError
from ..fim.terminal.arguments import Parser, add_model
from ..fim.terminal.logs import log_to_stderr
from ..fim.text.printable import one_line
from ..fim.types import PolicyName
from .core_dumps import no_core_dumps
from .editor_setup import EDITORS

DISTRIBUTION = "quicksilver-lsp"
OPTIONAL = {"torch": "gpu", "triton": "gpu"}  # modules, and the extra that brings them to whoever serves a model
_LOG_LEVELS = ("debug", "info", "warning", "error")
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
        # Whoever read our output has gone; point stdout elsewhere, or the interpreter complains when it ends.
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
    """Put the null device where whoever started us closed stdin, stdout or stderr, as Python then has none."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (until the process ends)


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in _PASSED_ON:
        return _pass_on(arguments[0], arguments[1:])
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


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
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_lsp, _add_complete, _add_doctor, _add_demo, _add_editors, _add_settings):
        add(commands)
    for name, about in _PASSED_ON.items():
        commands.add_parser(name, help=about, add_help=False)
    return parser


def _add_lsp(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser("lsp", help="the language server (editors start it)")
    parser.add_argument("--stdio", action="store_true", help="over stdin and stdout, as without any option")
    parser.add_argument(
        "--tcp", metavar="[HOST:]PORT", help="on a port of this machine, for any number of editors (0: a free one)"
    )
    parser.add_argument("--log-level", choices=_LOG_LEVELS, default="info", help="of the log on stderr (info)")
    add_model(parser)
    parser.set_defaults(run=_lsp)


def _add_complete(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser(
        "complete",
        help="complete a file at a place, as an editor would",
        description="Print what an editor would show at a place while you type, or with --invoke what it shows on"
        " request. The text goes to stdout, the rest to stderr. On a terminal control characters in it are escaped;"
        " in a pipe it is exact.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("target", metavar="FILE:LINE:COL", help="line and character column, counted from 1")
    parser.add_argument(
        "--invoke", action="store_true", help="ask as with the completion key: the best guess, however unsure"
    )
    parser.add_argument("--json", action="store_true", help="print all facts as JSON, the exact text among them")
    parser.add_argument("--trace", action="store_true", help="show the canvas after every step")
    parser.add_argument("--trace-svg", type=Path, metavar="FILE", help="write that as a picture to FILE")
    parser.add_argument("--verbose", action="store_true", help="say which model answered, and why that one is served")
    parser.add_argument("--budget-ms", type=float, default=2000.0, metavar="MS", help="for the engine's answer (2000)")
    policies = get_args(PolicyName)
    parser.add_argument(
        "--policy", choices=policies, metavar="NAME", help=f"which predictions to commit: {', '.join(policies)}"
    )
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
    parser.add_argument("--timeout-s", type=_seconds, default=120.0, help="give up after this long, all in all (120)")
    add_model(parser)
    parser.set_defaults(run=_complete)


def _add_doctor(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser("doctor", help="check the installation, part by part")
    parser.add_argument("--timeout-s", type=_seconds, default=120.0, help="give up on the engine after this long (120)")
    add_model(parser)
    parser.set_defaults(run=_doctor)


def _add_demo(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser("demo", help="watch it fill holes cut from real files")
    parser.add_argument("--examples", type=Path, metavar="FOLDER", help="a folder with holes.toml of its own")
    parser.add_argument("--yes", action="store_true", help="fetch the model coder first, without asking")
    parser.add_argument("--timeout-s", type=_seconds, default=300.0, help="give up after this long, all in all (300)")
    add_model(parser)
    parser.set_defaults(run=_demo)


def _add_editors(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser("editors", help="where the editor plugins are, and how to set one up")
    parser.add_argument("editor", choices=EDITORS, nargs="?", metavar="NAME", help=f"one of {', '.join(EDITORS)}")
    parser.add_argument("--path", action="store_true", help="print only the folder of the plugin")
    parser.set_defaults(run=_editors)


def _add_settings(commands: "argparse._SubParsersAction[Parser]") -> None:
    parser = commands.add_parser("settings", help="what editors can set, as a table")
    parser.add_argument("--markdown", action="store_true", help="docs/settings.md, also on a terminal")
    parser.set_defaults(run=_settings)


def _lsp(options: argparse.Namespace) -> int:
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


def _editors(options: argparse.Namespace) -> int:
    from .editor_setup import run_editors

    return run_editors(options.editor, options.path)


def _settings(options: argparse.Namespace) -> int:
    from .settings_page import settings_page, show_settings

    if sys.stdout.isatty() and not options.markdown:
        show_settings()
    else:
        print(settings_page(), end="")
    return 0


def _complete(options: argparse.Namespace) -> int:
    from .complete import run_complete

    return run_complete(options, options.model)


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import run_doctor

    return run_doctor(options.model, options.timeout_s, _version())


def _demo(options: argparse.Namespace) -> int:
    from ..fetch.command import for_demo
    from .demo import run_demo
    from .shared_engine import shared_engine

    def fetch_first() -> None:
        if options.model is None and for_demo(options.yes):
            asyncio.run(shared_engine(None).shutdown())  # one that runs has not chosen among all models

    return run_demo(options.examples, options.model, fetch_first, options.timeout_s)


def _seconds(text: str) -> float:
    """A positive number of seconds. Raises ArgumentTypeError, which argparse turns into its one line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text}")
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown (not installed)"
