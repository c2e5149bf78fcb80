"""`quicksilver serve`: options, the log, and what each refusal to start says.

Owns the command line of the engine process. It does not know HTTP or how a model fills holes; torch is imported only
when the model is loaded, in the worker's thread, so that the socket answers long before.
"""

import argparse
import asyncio
import logging
import logging.handlers
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args

from ..fim.engine import Infiller
from ..fim.errors import InputError, QuicksilverError
from ..fim.models.formats import CacheKind, Device, Dtype, Runtime, WeightFormat
from ..fim.terminal.arguments import Parser, add_model
from ..fim.text.printable import PrintableFormatter, one_line
from ..model.load import LoadPlan
from ..serving.client.process_control import end_process
from ..serving.paths import EngineHome, find_home
from ..serving.process.loading import load_model

logger = logging.getLogger(__name__)

LoadInfiller = Callable[[Path | None, int | None], Infiller[Any]]

_LOG_BYTES = 1_000_000
_ERROR_PREFIX = "quicksilver serve: "


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What `quicksilver serve` was asked; idle_s None means to serve until stopped."""

    model: Path | None
    port: int | None
    threads: int | None
    plan: LoadPlan
    idle_s: float | None
    detached: bool
    replace: bool
    verbose: bool


def main(argv: Sequence[str], *, load: LoadInfiller | None = None) -> int:
    """Run an engine until it ends; returns the exit code: 0; 2 after one line that says what is wrong with options,
    home or checkpoint; 1 where the model cannot be loaded for another reason.

    load makes the Infiller from a checkpoint folder (None: of its own choice) and a number of threads (None: its own
    choice).
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
    except OSError as error:  # a full disk, a log that cannot be written
        message = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    print(_ERROR_PREFIX + one_line(message), file=sys.stderr)
    return 2


def parse_options(argv: Sequence[str]) -> ServeOptions:
    """argv as options. Raises InputError; --help prints and raises SystemExit(0)."""
    parser = Parser(prog="quicksilver serve", description="Serve completions to every editor window of this user.")
    add_model(parser)
    parser.add_argument("--port", type=int, metavar="N", help="also listen on 127.0.0.1:N, with a token")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of the model (default: its choice)")
    parser.add_argument(
        "--device", choices=get_args(Device), help="where the model runs (default: a GPU if there is one)"
    )
    parser.add_argument(
        "--runtime", choices=get_args(Runtime), help="what runs the model (default: the fastest installed)"
    )
    parser.add_argument(
        "--dtype",
        choices=get_args(Dtype),
        help="number format of what is computed (default: bfloat16 where the machine is fast at it)",
    )
    parser.add_argument(
        "--cache-mb", type=int, metavar="N", help="memory for contexts, in MiB (256, on a GPU more for long contexts)"
    )
    parser.add_argument(
        "--context-tokens", type=int, metavar="N", help="of context and answer (default: what is read here in a second)"
    )
    parser.add_argument(
        "--yarn", action="store_true", help="read contexts four times as long as the model was trained on, on a GPU"
    )
    parser.add_argument("--list-models", action=_ListModels, nargs=0, help="say which published models can be served")
    parser.add_argument("--family", help="of a published model, where its folder does not say")
    parser.add_argument(
        "--weights", choices=get_args(WeightFormat), help="round a published model's weights to one byte a number"
    )
    parser.add_argument(
        "--context-cache",
        choices=get_args(CacheKind),
        help="of a published model: exact, where its attention allows (default), or none",
    )
    parser.add_argument(
        "--idle-minutes", type=float, default=30.0, metavar="N", help="stop after N minutes without requests; 0: never"
    )
    parser.add_argument("--replace", action="store_true", help="stop the engine that runs, if one does, and start anew")
    parser.add_argument("--detached", action="store_true", help="log to the log file only (front ends set this)")
    parser.add_argument("--verbose", action="store_true", help="log more; error messages may quote source text")
    found = parser.parse_args(list(argv))
    if found.port is not None and not 0 <= found.port <= 65535:
        raise InputError(f"--port must be from 0 (any free one) to 65535, not {found.port}")
    if found.threads is not None and found.threads < 1:
        raise InputError(f"--threads must be at least 1, not {found.threads}")
    if not (math.isfinite(found.idle_minutes) and found.idle_minutes >= 0):
        raise InputError(f"--idle-minutes must be a number, 0 or more, not {found.idle_minutes}")
    if found.cache_mb is not None and not 0 <= found.cache_mb <= 2**20:
        raise InputError(f"--cache-mb must be from 0 to {2**20}, not {found.cache_mb}")
    if found.context_tokens is not None and not 1 <= found.context_tokens <= 2**20:
        raise InputError(f"--context-tokens must be from 1 to {2**20}, not {found.context_tokens}")
    if found.runtime == "openvino" and found.device == "cuda":
        raise InputError("the runtime openvino is for the CPU: choose --runtime torch, or --device cpu")
    return ServeOptions(
        model=found.model,
        port=found.port,
        threads=found.threads,
        plan=LoadPlan(
            device=found.device,
            runtime=found.runtime,
            dtype=found.dtype,
            cache_mb=found.cache_mb,
            context_tokens=found.context_tokens,
            yarn=found.yarn,
            family=found.family,
            weights=found.weights,
            context_cache=found.context_cache,
        ),
        idle_s=found.idle_minutes * 60.0 or None,
        detached=found.detached,
        replace=found.replace,
        verbose=found.verbose,
    )


class _ListModels(argparse.Action):
    """Prints the table of docs/published.md."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ..model.published.known import table

        print("\n".join(table()))
        parser.exit()


def _serve(options: ServeOptions, home: EngineHome, load: LoadInfiller) -> int:
    from ..serving.process.listener import claim, listen

    with claim(home), listen(home, options.port) as address:
        _start_logging(options, home)  # only now: the log belongs to the engine that holds the claim
        from ..serving.engine.worker import Worker
        from ..serving.process.life import run_engine  # starlette and uvicorn; clients can connect already

        addresses = [listener.getsockname() for listener in address.listeners]

        def load_and_announce() -> Infiller[Any]:
            infiller = load(home.model, options.threads)
            _announce(home, addresses)  # not before: when loading fails, that is the one line to read
            return infiller

        return run_engine(Worker(load_and_announce), address, idle_s=options.idle_s)


def _start_logging(options: ServeOptions, home: EngineHome) -> None:
    file = logging.handlers.RotatingFileHandler(home.log_file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    file.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, handlers=[file], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logger.info("starting version %s, model %s", home.version, home.model or "the best that is fast enough")
    if not options.detached:
        screen = logging.StreamHandler(sys.stderr)
        screen.setFormatter(PrintableFormatter(_ERROR_PREFIX + "%(message)s"))
        logging.getLogger().addHandler(screen)


def _announce(home: EngineHome, addresses: Sequence[object]) -> None:
    for address in addresses:
        if isinstance(address, tuple):
            logger.info("listening on http://127.0.0.1:%d/v1, token in %s", address[1], home.token_file)
        else:
            logger.info("listening on %s, log in %s", address, home.log_file)
