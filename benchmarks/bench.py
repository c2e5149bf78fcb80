"""`quicksilver bench`: which benchmark, with what options.

Owns the command line. It does not know what is measured or how.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..fim.errors import InputError
from ..fim.models.embedded import EMBEDDED
from ..fim.terminal.arguments import Parser, add_model
from .replay.arguments import add_replay_arguments


def main(argv: Sequence[str]) -> int:
    """Run a benchmark. Returns the exit code; raises InputError (bad command line), EngineError, CheckpointError."""
    parser = Parser(prog="quicksilver bench", description="Measure through the real server and engine.")
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    latency = benchmarks.add_parser("latency", help="start, first completion, keystrokes, steps")
    latency.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    latency.add_argument("--keys", type=int, default=200, help="characters to type (200)")
    latency.add_argument("--starts", type=int, default=5, help="how often the server is started (5)")
    latency.add_argument("--cold", type=int, default=2, help="how often the engine is started (2)")
    latency.add_argument("--file", type=Path, help="a Python file to type in (default: one of examples/)")
    add_model(latency, default=EMBEDDED[0])
    latency.add_argument("--shape", choices=("nano", "base"), help="random weights of this size instead of a model")
    latency.add_argument("--steps", type=int, default=64, help="most forwards of an answer (64)")
    latency.add_argument("--tokens", type=int, help="most tokens of an answer (default: the engine's choice)")
    latency.set_defaults(run=_latency)
    throughput = benchmarks.add_parser("throughput", help="many editors at once: answers, waiting, quality")
    throughput.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    throughput.add_argument("--png", type=Path, metavar="FILE", help="also draw it (needs matplotlib)")
    throughput.add_argument("--editors", default="1,2,4,8,16,32,64", help="how many at once, a run each")
    throughput.add_argument("--seconds", type=float, default=15.0, help="of each run (15)")
    throughput.add_argument("--folder", type=Path, help="Python files to walk through (default: examples/)")
    add_model(throughput, default=EMBEDDED[0])
    throughput.set_defaults(run=_throughput)
    peers = benchmarks.add_parser("peers", help="against autoregressive models of the same shape, random weights")
    peers.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    peers.add_argument("--shape", choices=("nano", "base"), default="base", help="layers and widths (base)")
    peers.add_argument("--context", type=int, default=1024, help="tokens before the hole (1024)")
    peers.add_argument("--tokens", default="16,32,64", help="completion lengths (16,32,64)")
    peers.add_argument("--steps", default="4,8", help="of ours, a canvas (4,8)")
    peers.add_argument("--rounds", type=int, default=5, help="each side's turns (5)")
    peers.add_argument("--threads", type=int, default=2, help="of each side (2)")
    peers.set_defaults(run=_peers)
    summary = benchmarks.add_parser("summary", help="the newest results as a page")
    summary.add_argument("--results", type=Path, default=Path("docs/results"), metavar="FOLDER", help="(docs/results)")
    summary.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"), help="to write (docs/benchmarks.md)")
    summary.set_defaults(run=_summary)
    llama = benchmarks.add_parser("llama", help="against llama.cpp with the same GGUF file")
    llama.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    llama.add_argument("--gguf", type=Path, required=True, metavar="FILE", help="the file that llama.cpp reads")
    add_model(llama, default="coder")
    llama.add_argument("--tokens", default="8,32", help="most tokens of a completion (8,32)")
    llama.add_argument("--holes", type=int, default=12, help="that each fills (12)")
    llama.add_argument("--threads", type=int, default=2, help="of each side (2)")
    llama.set_defaults(run=_llama)
    scaling = benchmarks.add_parser("scaling", help="cost by length of context and canvas, random weights")
    scaling.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    scaling.add_argument("--png", type=Path, metavar="FILE", help="also draw it (needs matplotlib)")
    scaling.add_argument("--shape", choices=("nano", "base"), default="nano", help="layers and widths (nano)")
    scaling.add_argument("--contexts", default="1024,2048,4096,8192,16384,32768", help="lengths in tokens")
    scaling.add_argument("--canvases", default="8,16,32,64,128", help="lengths in tokens")
    scaling.add_argument("--rounds", type=int, default=7, help="how often each forward is timed (7)")
    scaling.add_argument("--threads", type=int, default=2, help="of the runtime (2)")
    scaling.add_argument("--runtime", choices=("torch", "openvino"), help="what runs it (default: the fastest)")
    scaling.set_defaults(run=_scaling)
    add_replay_arguments(
        benchmarks.add_parser("replay", help="people type real code again, with the server beside them")
    )
    kernels = benchmarks.add_parser("kernels", help="each kernel against its floor and its PyTorch reference")
    kernels.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    kernels.add_argument("--png", type=Path, metavar="FILE", help="also draw it (needs matplotlib)")
    kernels.add_argument("--device", choices=("cpu", "cuda"), help="(default: a GPU where there is one)")
    kernels.add_argument("--size", action="append", help="nano, base, 7b, or several (default: all; 7b not on a CPU)")
    kernels.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="(bfloat16; float32 on a CPU)")
    kernels.add_argument("--rounds", type=int, default=20, help="each side's turns (20)")
    kernels.set_defaults(run=_kernels)
    published = benchmarks.add_parser("published", help="how a published checkpoint loads: time, memory, one step")
    published.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    add_model(published, about="a folder with a published checkpoint (default: random weights)")
    published.add_argument("--shape", choices=("0.5b", "1.5b", "3b", "7b"), default="0.5b", help="of those (0.5b)")
    published.add_argument("--weights", default="as-stored", help="of as-stored, int8, fp8, with commas between")
    published.add_argument("--device", choices=("cpu", "cuda"), help="(default: a GPU where there is one)")
    published.add_argument("--keep", type=Path, metavar="FOLDER", help="write the random checkpoint here and leave it")
    published.set_defaults(run=_published)
    steps = benchmarks.add_parser("steps", help="a denoise step of whole models against reading their weights")
    steps.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    steps.add_argument("--device", choices=("cpu", "cuda"), help="(default: a GPU where there is one)")
    steps.add_argument("--shapes", help="of nano, base, 0.5b, 1.7b, 7b (default: all; on a CPU nano,base)")
    steps.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), help="(bfloat16; float32 on a CPU)")
    steps.add_argument("--canvases", default="1,4", help="how many at once, a row each (1,4)")
    steps.add_argument("--context", type=int, default=1024, help="tokens before the hole (1024)")
    steps.add_argument("--tokens", type=int, default=32, help="of a canvas (32)")
    steps.add_argument("--rounds", type=int, default=20, help="turns of each (20)")
    steps.set_defaults(run=_steps)
    nvim = benchmarks.add_parser(
        "nvim", help="from a key to ghost text in a real Neovim, in front of a server without model"
    )
    nvim.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    nvim.add_argument("--nvim", action="append", metavar="PROGRAM", help="which one, or several (nvim)")
    nvim.add_argument("--keys", type=int, default=100, help="how many (100)")
    nvim.set_defaults(run=_nvim)
    typing = benchmarks.add_parser("typing", help="programs typed into a real Neovim with default settings")
    typing.add_argument("programs", type=Path, nargs="*", metavar="FILE", help="what is typed (examples/typing/*.py)")
    typing.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON, each text in it")
    typing.add_argument("--nvim", default="nvim", metavar="PROGRAM", help="which Neovim, 0.10 or newer (nvim)")
    typing.add_argument("--seed", type=int, default=1, help="which person types (1)")
    typing.add_argument("--checkout", type=Path, metavar="FOLDER", help="another checkout's server (.venv) and plugin")
    typing.set_defaults(run=_typing)
    protocol = benchmarks.add_parser("protocol", help="random edits, a storm of cancels and broken messages")
    protocol.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    protocol.add_argument("--edits", type=int, default=10_000, help="in each of three encodings (10000)")
    protocol.add_argument("--storm-s", type=float, default=60.0, help="seconds of questions and cancels (60)")
    protocol.add_argument("--storm-per-s", type=int, default=200, help="how many a second (200)")
    protocol.add_argument("--fuzz-s", type=float, default=300.0, help="seconds of broken messages (300)")
    protocol.add_argument("--seed", type=int, default=0, help="of all that is drawn (0)")
    protocol.set_defaults(run=_protocol)
    soak = benchmarks.add_parser("soak", help="thousands of requests with cancels, kills and evictions")
    soak.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    soak.add_argument("--requests", type=int, default=10_000, help="how many (10000)")
    soak.add_argument("--editors", type=int, default=4, help="how many at once (4)")
    soak.add_argument("--kill-every", type=int, default=2_000, metavar="N", help="kill the engine after N; 0: never")
    soak.add_argument("--cache-mb", type=int, default=24, help="of the engine (24)")
    soak.add_argument("--runtime", choices=("torch", "openvino"), help="of the engine (default: the fastest)")
    soak.add_argument("--dtype", choices=("float32", "bfloat16"), help="of the engine (default: the faster)")
    soak.set_defaults(run=_soak)
    indexing = benchmarks.add_parser("indexing", help="a large workspace: time, memory, keystrokes meanwhile")
    indexing.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    indexing.add_argument("--files", type=int, default=5_000, help="of the workspace that is made (5000)")
    indexing.add_argument("--keys", type=int, default=40, help="to type in each phase (40)")
    indexing.add_argument("--rounds", type=int, default=3, help="each phase's turns (3)")
    indexing.set_defaults(run=_indexing)
    keystroke = benchmarks.add_parser("keystroke", help="how much code one warm key runs, in server and engine")
    keystroke.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    keystroke.add_argument("--keys", type=int, default=40, help="to type; the median warm one is reported (40)")
    add_model(keystroke, default=EMBEDDED[0])
    keystroke.set_defaults(run=_keystroke)
    options = parser.parse_args(list(argv))
    for name in ("json", "png"):
        file = getattr(options, name, None)
        if file is not None and not file.parent.is_dir():
            raise InputError(f"there is no folder {file.parent} to write to")
    return options.run(options)


def _latency(options: argparse.Namespace) -> int:
    from .speed.latency import LatencyPlan, run_latency

    if not (1 <= options.keys <= 10_000 and 1 <= options.starts <= 100 and 1 <= options.cold <= 100):
        raise InputError("--keys must be from 1 to 10000, --starts and --cold from 1 to 100")
    if options.shape is not None and options.model is not None:
        raise InputError("--shape is for random weights, --model for a checkpoint: name one of them")
    if not 1 <= options.steps <= 1024:
        raise InputError("--steps must be from 1 to 1024")
    if options.tokens is not None and not 1 <= options.tokens <= 1024:
        raise InputError("--tokens must be from 1 to 1024")
    plan = LatencyPlan(
        n_keys=options.keys,
        n_starts=options.starts,
        n_cold=options.cold,
        source=options.file,
        model=options.model,
        shape=options.shape,
        max_steps=options.steps,
        max_tokens=options.tokens,
    )
    return run_latency(plan, options.json)


def _throughput(options: argparse.Namespace) -> int:
    from .speed.throughput import ThroughputPlan, run_throughput

    if not 0.1 <= options.seconds <= 3600:
        raise InputError("--seconds must be from 0.1 to 3600")
    plan = ThroughputPlan(
        editors=_numbers(options.editors, "--editors", 1000),
        seconds=options.seconds,
        folder=options.folder,
        model=options.model,
    )
    return run_throughput(plan, options.json, options.png)


def _peers(options: argparse.Namespace) -> int:
    from .speed.peers import PeersPlan, run_peers

    if not (16 <= options.context <= 32_768 and 1 <= options.rounds <= 1000 and 1 <= options.threads <= 256):
        raise InputError("--context must be from 16 to 32768, --rounds from 1 to 1000, --threads from 1 to 256")
    plan = PeersPlan(
        shape=options.shape,
        n_context=options.context,
        n_tokens=_numbers(options.tokens, "--tokens", 1024),
        steps=_numbers(options.steps, "--steps", 1024),
        n_rounds=options.rounds,
        n_threads=options.threads,
    )
    return run_peers(plan, options.json)


def _summary(options: argparse.Namespace) -> int:
    from .summary import run_summary

    return run_summary(options.results, options.page)


def _llama(options: argparse.Namespace) -> int:
    from .speed.llama import LlamaPlan, run_llama

    if not (1 <= options.holes <= 1000 and 1 <= options.threads <= 256):
        raise InputError("--holes must be from 1 to 1000, --threads from 1 to 256")
    if not options.gguf.is_file():
        raise InputError(f"there is no file {options.gguf}")
    plan = LlamaPlan(
        gguf=options.gguf, model=options.model, n_tokens=_numbers(options.tokens, "--tokens", 96),
        n_holes=options.holes, n_threads=options.threads,
    )  # fmt: skip
    return run_llama(plan, options.json)


def _scaling(options: argparse.Namespace) -> int:
    from .speed.scaling import ScalingPlan, run_scaling

    if not (1 <= options.rounds <= 1000 and 1 <= options.threads <= 256):
        raise InputError("--rounds must be from 1 to 1000, --threads from 1 to 256")
    plan = ScalingPlan(
        shape=options.shape,
        contexts=_numbers(options.contexts, "--contexts", 2**20),
        canvases=_numbers(options.canvases, "--canvases", 4096),
        n_rounds=options.rounds,
        n_threads=options.threads,
        runtime=options.runtime,
    )
    return run_scaling(plan, options.json, options.png)


def _kernels(options: argparse.Namespace) -> int:
    import torch

    from ..kernels.jit import has_triton
    from .speed.kernels import CONTEXTS, KernelsPlan, run_kernels

    if not 1 <= options.rounds <= 1000:
        raise InputError("--rounds must be from 1 to 1000")
    device = options.device or ("cuda" if torch.cuda.is_available() and has_triton() else "cpu")
    if device == "cuda" and not (torch.cuda.is_available() and has_triton()):
        raise InputError("--device cuda needs a GPU that torch can use, and Triton")
    default = tuple(size for size in CONTEXTS if device == "cuda" or size != "7b")
    sizes = default if options.size is None else tuple(",".join(options.size).replace(" ", "").split(","))
    if not set(sizes) <= set(CONTEXTS):
        raise InputError(f"--size must be {', '.join(CONTEXTS)}, with commas between, not {','.join(sizes)!r}")
    dtype = options.dtype or ("bfloat16" if device == "cuda" else "float32")
    plan = KernelsPlan(device=device, sizes=tuple(dict.fromkeys(sizes)), dtype=dtype, n_rounds=options.rounds)
    return run_kernels(plan, options.json, options.png)


def _steps(options: argparse.Namespace) -> int:
    import torch

    from ..kernels.jit import has_triton
    from .speed.steps import SHAPES, StepsPlan, run_steps

    if not 1 <= options.rounds <= 1000:
        raise InputError("--rounds must be from 1 to 1000")
    if not 2 <= options.context <= 32_768 or not 1 <= options.tokens <= 512:
        raise InputError("--context must be from 2 to 32768, --tokens from 1 to 512")
    device = options.device or ("cuda" if torch.cuda.is_available() and has_triton() else "cpu")
    if device == "cuda" and not (torch.cuda.is_available() and has_triton()):
        raise InputError("--device cuda needs a GPU that torch can use, and Triton")
    default = ",".join(SHAPES) if device == "cuda" else "nano,base"
    shapes = tuple(dict.fromkeys((options.shapes or default).lower().replace(" ", "").split(",")))
    if not set(shapes) <= set(SHAPES):
        raise InputError(f"--shapes must be of {', '.join(SHAPES)}, with commas between, not {','.join(shapes)!r}")
    plan = StepsPlan(
        device=device, shapes=shapes, dtype=options.dtype or ("bfloat16" if device == "cuda" else "float32"),
        canvases=_numbers(options.canvases, "--canvases", 64), n_context=options.context, n_canvas=options.tokens,
        n_rounds=options.rounds,
    )  # fmt: skip
    return run_steps(plan, options.json)


def _published(options: argparse.Namespace) -> int:
    from .speed.published_load import PublishedLoadPlan, run_load

    formats = options.weights.replace(" ", "").split(",")
    if not set(formats) <= {"as-stored", "int8", "fp8"}:
        raise InputError(f"--weights must be of as-stored, int8 and fp8, with commas between, not {options.weights!r}")
    plan = PublishedLoadPlan(
        folder=options.model, shape=options.shape, device=options.device, keeps=options.keep,
        weights=tuple(None if name == "as-stored" else name for name in formats),
    )  # fmt: skip
    return run_load(plan, options.json)


def _typing(options: argparse.Namespace) -> int:
    from .replay.nvim_typing import TypingPlan, run_typing

    here = Path(__file__).resolve().parent.parent
    programs = tuple(options.programs) or tuple(sorted((here / "examples" / "typing").glob("*.py")))
    plan = TypingPlan(programs=programs, nvim=options.nvim, seed=options.seed)
    if options.checkout is not None:
        other = options.checkout.resolve()
        server = (str(other / ".venv" / "bin" / "python"), "-P", "-m", "quicksilver.cli", "lsp")
        plan = replace(plan, server=server, plugin=other / "editors" / "nvim")
    return run_typing(plan, options.json)


def _nvim(options: argparse.Namespace) -> int:
    from .speed.nvim_latency import NvimPlan, run_nvim

    if not 1 <= options.keys <= 100:
        raise InputError("--keys must be from 1 to 100: they go into one line")
    return run_nvim(NvimPlan(programs=tuple(options.nvim or ["nvim"]), n_keys=options.keys), options.json)


def _protocol(options: argparse.Namespace) -> int:
    from .robustness.protocol import ProtocolPlan, run_protocol

    if min(options.edits, options.storm_s, options.fuzz_s) <= 0 or not 1 <= options.storm_per_s <= 2000:
        raise InputError("--edits, --storm-s and --fuzz-s must be positive, --storm-per-s from 1 to 2000")
    plan = ProtocolPlan(
        n_edits=options.edits,
        storm_s=options.storm_s,
        storm_per_s=options.storm_per_s,
        fuzz_s=options.fuzz_s,
        seed=options.seed,
    )
    return run_protocol(plan, options.json)


def _soak(options: argparse.Namespace) -> int:
    from .robustness.soak import SoakPlan, run_soak

    if min(options.requests, options.editors) < 1 or options.kill_every < 0 or options.cache_mb < 0:
        raise InputError("--requests and --editors must be at least 1, --kill-every and --cache-mb at least 0")
    plan = SoakPlan(
        n_requests=options.requests,
        n_editors=options.editors,
        n_kill=options.kill_every,
        cache_mb=options.cache_mb,
        runtime=options.runtime,
        dtype=options.dtype,
    )
    return run_soak(plan, options.json)


def _keystroke(options: argparse.Namespace) -> int:
    from .robustness.keystroke import KeystrokePlan, run_keystroke

    if not 1 <= options.keys <= 1000:
        raise InputError("--keys must be from 1 to 1000")
    return run_keystroke(KeystrokePlan(n_keys=options.keys, model=options.model), options.json)


def _indexing(options: argparse.Namespace) -> int:
    from .speed.indexing import IndexingPlan, run_indexing

    if not (2 <= options.files <= 50_000 and 1 <= options.keys <= 1000 and 1 <= options.rounds <= 100):
        raise InputError("--files must be from 2 to 50000, --keys from 1 to 1000, --rounds from 1 to 100")
    plan = IndexingPlan(n_files=options.files, n_keys=options.keys, n_rounds=options.rounds)
    return run_indexing(plan, options.json)


def _numbers(text: str, name: str, most: int) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= most for part in parts):
        raise InputError(f"{name} must be numbers from 1 to {most} with commas between, not {text!r}")
    return tuple(map(int, parts))
