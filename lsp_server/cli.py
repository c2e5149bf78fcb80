"""The `quicksilver` command: the composition root.

Owns the command line, exit codes and what is wired to what; each command is imported when it is asked for, so that
`quicksilver lsp` never pays for another one. Exit codes: 0 fine, 1 the engine or the system failed, 2 the input can be
mended, 130 interrupted. It does not know how any command works.
"""

import argparse
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, get_args

from ..fim.errors import CheckpointError, InputError, QuicksilverError
from ..fim.types import PolicyName
from .log_format import LogFormatter

DISTRIBUTION = "quicksilver-lsp"
_LOG_LEVELS = ("debug", "info", "warning", "error")
_PASSED_ON = {
    "serve": "run the engine process in the foreground",
    "train": "prepare data and train a checkpoint",
    "eval": "measure a checkpoint: on held-out holes, on infilling benchmarks",
    "bench": "measure latency through the real server and engine",
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; never raises on bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
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
        print(f"quicksilver: {_one_line(f'{error.strerror or error}{where}')}", file=sys.stderr)
        return 1
    except QuicksilverError as error:
        print(f"quicksilver: {_one_line(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, InputError | CheckpointError) else 1


def _one_line(message: str) -> str:
    """message without line breaks or anything else that a terminal would act on."""
    return "".join(character if character.isprintable() else "�" for character in " ".join(message.split()))


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in _PASSED_ON:
        return _pass_on(arguments[0], arguments[1:])
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _pass_on(command: str, arguments: list[str]) -> int:
    """Commands that read their own command line."""
    if command == "serve":
        from ..serving.command import main as serve

        return serve(arguments)
    if command == "bench":
        from ..benchmarks.command import main as bench

        return bench(arguments)
    if command == "eval":
        from ..benchmarks.eval_command import main as evaluate

        return evaluate(arguments)
    from ..training.command import main as train

    return train(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="quicksilver", description="Local code completion by masked diffusion.")
    parser.add_argument("--version", action="version", version=f"quicksilver {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_lsp, _add_complete, _add_doctor, _add_demo, _add_settings):
        add(commands)
    for name, about in _PASSED_ON.items():
        commands.add_parser(name, help=about, add_help=False)
    return parser


def _add_lsp(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("lsp", help="the language server (editors start it)")
    parser.add_argument("--stdio", action="store_true", help="over stdin and stdout, as without any option")
    parser.add_argument(
        "--tcp", metavar="[HOST:]PORT", help="on a port of this machine, for any number of editors (0: a free one)"
    )
    parser.add_argument("--log-level", choices=_LOG_LEVELS, default="info", help="of the log on stderr (info)")
    _add_model(parser)
    parser.set_defaults(run=_lsp)


def _add_complete(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("complete", help="complete a file at a place, as an editor would")
    parser.add_argument("target", metavar="FILE:LINE:COL", help="line and character column, counted from 1")
    parser.add_argument("--json", action="store_true", help="print all facts as JSON")
    parser.add_argument("--trace", action="store_true", help="show the canvas after every step")
    parser.add_argument("--budget-ms", type=float, default=2000.0, help="time for the engine's answer (2000)")
    parser.add_argument("--policy", choices=get_args(PolicyName), help="which predictions to commit")
    parser.add_argument("--max-tokens", type=int, help="longest answer")
    parser.add_argument("--timeout-s", type=_seconds, default=120.0, help="give up after this long, all in all (120)")
    _add_model(parser)
    parser.set_defaults(run=_complete)


def _add_doctor(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("doctor", help="check the installation, part by part")
    parser.add_argument("--timeout-s", type=_seconds, default=120.0, help="give up on the engine after this long (120)")
    _add_model(parser)
    parser.set_defaults(run=_doctor)


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("demo", help="fill holes cut from real files and compare with what stood there")
    parser.add_argument("--examples", type=Path, help="folder with holes.toml (default: examples/ of the checkout)")
    parser.add_argument("--timeout-s", type=_seconds, default=300.0, help="give up after this long, all in all (300)")
    _add_model(parser)
    parser.set_defaults(run=_demo)


def _add_settings(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser("settings", help="what editors can set, as a table in Markdown")
    parser.set_defaults(run=_settings)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a checkpoint folder (default: the built-in one)")


def _lsp(options: argparse.Namespace) -> int:
    log_to_stderr(options.log_level)
    from .quick_import import collector_paused

    model, version = _model(options), _version()
    if options.tcp is not None:
        from .server import CompletionServer
        from .shared_engine import shared_engine
        from .tcp import read_address, run_tcp

        return run_tcp(read_address(options.tcp), lambda: CompletionServer(shared_engine(model), version))
    from .editor_watch import EditorWatch

    watch = EditorWatch(sys.stdin.fileno())  # early, while the process that it copies is small
    with collector_paused():
        from .shared_engine import shared_engine
        from .stdio import run_stdio
    return run_stdio(shared_engine(model), version, watch)


def _settings(_: argparse.Namespace) -> int:
    from .settings_page import settings_page

    print(settings_page(), end="")
    return 0


def _complete(options: argparse.Namespace) -> int:
    from .complete import run_complete

    return run_complete(options, _model(options))


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import run_doctor

    return run_doctor(_model(options), options.timeout_s, _version())


def _demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    return run_demo(options.examples, _model(options), options.timeout_s)


def _seconds(text: str) -> float:
    """A positive number of seconds. Raises ArgumentTypeError, which argparse turns into its one line."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text}")
    return value


def _model(options: argparse.Namespace) -> Path | None:
    if options.model is None:
        return None
    try:
        folder: Path = options.model.expanduser()
        if folder.is_dir():
            return folder.resolve()
    except (OSError, RuntimeError) as error:  # a name that is too long, the home of a user who does not exist
        raise InputError(f"there is no checkpoint folder {str(options.model)[:200]}") from error
    raise InputError(f"there is no checkpoint folder {folder}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown (not installed)"


def log_to_stderr(level: str) -> None:
    """Our log to stderr. pygls logs message bodies, that is source code, and so logs nothing."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(handlers=[handler], level="WARNING")
    logging.getLogger("quicksilver").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
