"""`quicksilver bench`: which benchmark to run.

Each has a plan, whose fields are its options, and is imported when it is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Annotated, Any

from ..fim.errors import InputError
from ..fim.terminal.arguments import Parser
from ..fim.terminal.options import Option, add_options, read_options

Loaded = tuple[type[Any], Callable[..., int]]


@dataclass(frozen=True, kw_only=True)
class JsonFile:
    """The result file of a benchmark that draws nothing."""

    json: Annotated[Path | None, Option("also write the result as JSON", metavar="FILE")] = None

    def __post_init__(self) -> None:
        for file in astuple(self):
            if file is not None and not file.parent.is_dir():
                raise InputError(f"there is no folder {file.parent} to write to")
            if file is not None and file.is_dir():
                raise InputError(f"{file} is a folder: name a file in it")


@dataclass(frozen=True, kw_only=True)
class ResultFiles(JsonFile):
    """The result files of a benchmark that can draw its result."""

    png: Annotated[Path | None, Option("also draw it (needs matplotlib)", metavar="FILE")] = None


@dataclass(frozen=True, kw_only=True)
class NoFiles:
    """For a benchmark whose plan says what it writes."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its line in the help, a function that imports its plan and its run, and the type of its files."""

    about: str
    load: Callable[[], Loaded]
    files: type[Any] = JsonFile


def main(argv: Sequence[str]) -> int:
    """Run a benchmark. Returns the exit code; raises InputError (bad command line), EngineError, CheckpointError."""
    top = Parser(prog="quicksilver bench", description="Measure through the real server and engine.")
    names = top.add_subparsers(title="benchmarks", metavar="BENCHMARK", dest="name", required=True)
    for name, benchmark in BENCHMARKS.items():
        names.add_parser(name, help=benchmark.about, add_help=False)
    name: str = top.parse_known_args(list(argv[:1]))[0].name
    plan, run = BENCHMARKS[name].load()
    parser = Parser(prog=f"quicksilver bench {name}")
    add_options(parser, BENCHMARKS[name].files)
    add_options(parser, plan)
    found = parser.parse_args(list(argv[1:]))
    files = read_options(BENCHMARKS[name].files, found)
    return run(read_options(plan, found), *astuple(files))


def _latency() -> Loaded:
    from .speed.latency import LatencyPlan, run_latency

    return LatencyPlan, run_latency


def _throughput() -> Loaded:
    from .speed.throughput import ThroughputPlan, run_throughput

    return ThroughputPlan, run_throughput


def _peers() -> Loaded:
    from .speed.peers import PeersPlan, run_peers

    return PeersPlan, run_peers


def _summary() -> Loaded:
    from .summary import SummaryPlan, run_summary

    return SummaryPlan, run_summary


def _llama() -> Loaded:
    from .speed.llama import LlamaPlan, run_llama

    return LlamaPlan, run_llama


def _infill_server() -> Loaded:
    from .api.infill_server import InfillServerPlan, run_infill_server

    return InfillServerPlan, run_infill_server


def _streams() -> Loaded:
    from .api.streams import StreamsPlan, run_streams

    return StreamsPlan, run_streams


def _scaling() -> Loaded:
    from .speed.scaling import ScalingPlan, run_scaling

    return ScalingPlan, run_scaling


def _replay() -> Loaded:
    from .replay.arguments import ReplayOptions, run_options

    return ReplayOptions, run_options


def _kernels() -> Loaded:
    from .speed.kernels import KernelsPlan, run_kernels

    return KernelsPlan, run_kernels


def _published() -> Loaded:
    from .speed.published_load import PublishedLoadPlan, run_load

    return PublishedLoadPlan, run_load


def _steps() -> Loaded:
    from .speed.steps import StepsPlan, run_steps

    return StepsPlan, run_steps


def _nvim() -> Loaded:
    from .speed.nvim_latency import NvimPlan, run_nvim

    return NvimPlan, run_nvim


def _typing() -> Loaded:
    from .replay.nvim_typing import TypingPlan, run_typing

    return TypingPlan, run_typing


def _protocol() -> Loaded:
    from .robustness.protocol import ProtocolPlan, run_protocol

    return ProtocolPlan, run_protocol


def _soak() -> Loaded:
    from .robustness.soak import SoakPlan, run_soak

    return SoakPlan, run_soak


def _keystroke() -> Loaded:
    from .robustness.keystroke import KeystrokePlan, run_keystroke

    return KeystrokePlan, run_keystroke


def _indexing() -> Loaded:
    from .speed.indexing import IndexingPlan, run_indexing

    return IndexingPlan, run_indexing


BENCHMARKS = {
    "latency": Benchmark("start, first completion, keystrokes, steps", _latency),
    "throughput": Benchmark("many editors at once: answers, waiting, quality", _throughput, ResultFiles),
    "peers": Benchmark("against autoregressive models of the same shape, random weights", _peers),
    "summary": Benchmark("the newest results as a page", _summary, NoFiles),
    "llama": Benchmark("against llama.cpp with the same GGUF file", _llama),
    "infill-server": Benchmark("/infill against a llama-server with the same GGUF file", _infill_server),
    "scaling": Benchmark("cost by length of context and canvas, random weights", _scaling, ResultFiles),
    "replay": Benchmark("people type real code again, with the server beside them", _replay),
    "kernels": Benchmark("each kernel against its floor and its PyTorch reference", _kernels, ResultFiles),
    "published": Benchmark("how a published checkpoint loads: time, memory, one step", _published),
    "steps": Benchmark("a denoise step of whole models against reading their weights", _steps),
    "nvim": Benchmark("from a key to ghost text in a real Neovim, in front of a server without model", _nvim),
    "typing": Benchmark("programs typed into a real Neovim with default settings", _typing),
    "protocol": Benchmark("random edits, a storm of cancels and broken messages", _protocol),
    "soak": Benchmark("thousands of requests with cancels, kills and evictions", _soak),
    "streams": Benchmark("many streams at once, some closed in the middle: places, memory, first text", _streams),
    "keystroke": Benchmark("how much code one warm key runs, in server and engine", _keystroke),
    "indexing": Benchmark("a large workspace: time, memory, keystrokes meanwhile", _indexing),
}
