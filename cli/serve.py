"""`quicksilver serve`: its options, the log, and the one line for each refusal to start.

torch is imported only when the model is loaded, in the worker's thread, so that the socket answers long before.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from ..fim.engine import Infiller
from ..fim.errors import QuicksilverError
from ..fim.terminal.arguments import Parser
from ..fim.terminal.logs import LogFile
from ..fim.terminal.options import Option, add_options, model_option, read_options
from ..fim.text.printable import PrintableFormatter, one_line
from ..model.load import LoadPlan
from ..serving.client.process_control import end_process
from ..serving.paths import EngineHome, find_home
from ..serving.process.loading import load_model
from ..serving.process.port_options import KEY_VARIABLE, PortOptions

if TYPE_CHECKING:
    from ..serving.process.listener import Address

logger = logging.getLogger(__name__)

LoadInfiller = Callable[[Path | None, int | None], Infiller[Any]]

_ERROR_PREFIX = "quicksilver serve: "


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What `quicksilver serve` was asked."""

    model: Annotated[Path | None, model_option()] = None
    ports: PortOptions = field(default_factory=PortOptions)
    threads: Annotated[
        int | None, Option("CPU threads of the model (default: its choice)", metavar="N", least=1, most=1024)
    ] = None
    plan: LoadPlan = field(default_factory=LoadPlan)
    idle_minutes: Annotated[float, Option("stop after N minutes without requests; 0: never", metavar="N", least=0)] = (
        30.0
    )
    replace: Annotated[bool, Option("stop the engine that runs, if one does, and start anew")] = False
    detached: Annotated[bool, Option("log to the log file only (front ends set this)")] = False
    verbose: Annotated[bool, Option("log more; error messages may quote source text")] = False

    @property
    def idle_s(self) -> float | None:
        """Seconds without requests after which the engine stops; None: it serves until stopped."""
        return self.idle_minutes * 60.0 or None


def main(argv: Sequence[str], *, load: LoadInfiller | None = None) -> int:
    """Run an engine until it ends; returns the exit code: 0; 2 after one line that says what is wrong with options,
    home or checkpoint; 1 if the model cannot be loaded for another reason.

    load makes the Infiller from a checkpoint folder and a number of threads; None leaves either to it.
    """
    try:
        options = parse_options(argv)
        home = find_home(options.model)
        home.prepare()
        if options.replace:
            asyncio.run(end_process(home.info_file))
        return _serve(options, home, load or partial(load_model, plan=options.plan))
    except QuicksilverError as error:
        message = str(error)
    except BrokenPipeError:  # of standard output, whose reader has gone
        raise
    except OSError as error:  # a full disk, a log that cannot be written
        message = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    print(_ERROR_PREFIX + one_line(message), file=sys.stderr)
    return 2


def parse_options(argv: Sequence[str]) -> ServeOptions:
    """argv as options; the key of a port may be in the environment. Raises InputError; --help prints and raises
    SystemExit(0)."""
    parser = Parser(prog="quicksilver serve", description="Serve completions to every editor window of this user.")
    add_options(parser, ServeOptions)
    parser.add_argument("--list-models", action=_ListModels, nargs=0, help="say which published models can be served")
    found = parser.parse_args(list(argv))
    if hasattr(found, "port") and not hasattr(found, "api_key"):
        found.api_key = os.environ.get(KEY_VARIABLE) or None
    return read_options(ServeOptions, found)


class _ListModels(argparse.Action):
    """Prints the table of docs/published.md."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ..model.published.known import table

        print("\n".join(table()))
        parser.exit()


def _serve(options: ServeOptions, home: EngineHome, load: LoadInfiller) -> int:
    from ..serving.process.listener import claim, listen

    with claim(home), listen(home, options.ports) as address:
        _start_logging(options, home)  # only now: the log belongs to the engine that holds the claim
        from ..serving.engine.worker import Worker
        from ..serving.process.life import run_engine  # starlette and uvicorn; clients can connect already

        def load_and_announce() -> Infiller[Any]:
            infiller = load(home.model, options.threads)
            _announce(address, options.ports)  # not before: when loading fails, that is the one line to read
            return infiller

        return run_engine(Worker(load_and_announce), address, idle_s=options.idle_s)


def _start_logging(options: ServeOptions, home: EngineHome) -> None:
    file = LogFile(home.log_file, prefix=_ERROR_PREFIX)
    file.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, handlers=[file], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every request that is no HTTP
    logger.info("starting version %s, model %s", home.version, home.model or "the best that is fast enough")
    if not options.detached:
        screen = logging.StreamHandler(sys.stderr)
        screen.setFormatter(PrintableFormatter(_ERROR_PREFIX + "%(message)s"))
        logging.getLogger().addHandler(screen)


def _announce(address: "Address", options: PortOptions) -> None:
    home = address.home
    has_given_key = options.api_key is not None
    for listener in address.listeners:
        where = listener.getsockname()
        if isinstance(where, tuple):
            url = f"http://[{where[0]}]:{where[1]}/v1" if ":" in where[0] else f"http://{where[0]}:{where[1]}/v1"
            logger.info("listening on %s, %s", url, "with your key" if has_given_key else f"key in {home.token_file}")
        else:
            logger.info("listening on %s, log in %s", where, home.log_file)
    if not options.is_loopback:
        logger.warning(
            "other machines can reach %s: source text and key travel unencrypted, so use it in networks you trust",
            options.host,
        )
