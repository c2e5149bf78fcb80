"""A loaded model that fills holes: text in, text out, blocking. The engine process owns one of these.

Owns what outlives a request: the model, its layout and the context cache. A `CompletionJob` is the work on
one request. Knows no sockets and no editor.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ...fim.budget import step_ceiling
from ...fim.errors import EngineError, InputError
from ...fim.types import Completion, CompletionRequest, Hole
from ..cache.context_cache import MAX_BYTES, ContextCache
from ..checkpoint.checkpoint import Checkpoint, load
from ..checkpoint.checkpoint_files import embedded_checkpoint
from ..decoding.recent import Recent
from ..languages import languages_fact
from ..network.denoiser import Denoiser
from ..out_of_memory import is_out_of_memory
from ..ranking.candidates import N_DRAFT_TOKENS, N_DRAFT_TOKENS_BODY
from ..requests import Context, ForwardReply, ForwardRequest
from ..runners.batching import ModelRunner
from ..runners.cuda_graphs import GpuRunner
from ..runners.preload import HeadStartWork
from ..runners.select import CPU_ONLY, Runtime, best_dtype, fastest_device, fastest_runtime, openvino_runner, runner_of
from ..tokenizers.canvas_tokens import CanvasTokens, canvas_tokens, vocabulary_facts
from .answer import CANCELLED, SPENT, Result
from .job import N_TOKENS_BLOCK, CompletionJob
from .layout import layout_of

if TYPE_CHECKING:
    from ..runners.openvino_compile import CompiledGraph

logger = logging.getLogger(__name__)

TOO_LITTLE_MEMORY = "there is not enough memory for this request: close something, or send less text"
MIN_WINDOW = 64  # tokens
N_WINDOWS_CACHED = 2
MOST_ON_CPU = 1024  # tokens of context and answer: base reads 1,024 in .3 s on two cores, and a person waits for it
N_THREADS = torch.get_num_threads()  # of a process that was told nothing else; runtimes change PyTorch's own number


class DenoisingInfiller:
    """`fim.engine.Infiller` over one checkpoint on one device. For one thread."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        dtype: torch.dtype = torch.float32,
        runtime: Runtime = "torch",
        n_threads: int | None = None,
        cache_bytes: int | None = None,
        graph: "CompiledGraph | None" = None,
    ) -> None:
        """cache_bytes None: enough. graph: that of the checkpoint, where the runtime openvino has compiled it."""
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self.dtype = dtype
        self.runtime: Runtime = runtime
        self.tokenizer = checkpoint.tokenizer
        self.layout = layout_of(self.tokenizer)
        self.device = torch.device("cpu")
        if runtime == "openvino":
            self.run, self.n_threads = openvino_runner(
                self.config, checkpoint.weights, dtype, n_threads, graph, checkpoint.head
            )
            self.run([Context(torch.tensor([[0]]), None)])  # packs the weights, for coder .5 GB; else a person waits
            checkpoint.give_pages_back()
        else:
            self.n_threads = n_threads or torch.get_num_threads()
            self.run = runner_of(checkpoint.model, dtype, runtime, self.n_threads, checkpoint.head)
            self.device = checkpoint.model.embedding.weight.device
        self._cache_bytes = cache_bytes
        self.cache = ContextCache(MAX_BYTES if cache_bytes is None else cache_bytes)
        self.n_window = self.config.n_context_scaled
        if self.device.type == "cpu":
            self.n_window = min(self.n_window, MOST_ON_CPU)
        self.choice = ""  # why this model is served, for people
        self.recent = Recent()
        self.guesses = True  # whether a body's next tokens are guessed; the text is the same without
        self.n_requests = 1
        marks, facts = self.config.marks_middle, vocabulary_facts(self.tokenizer)
        self._tokens = {
            (multiline, at_line_end): canvas_tokens(
                self.tokenizer, multiline=multiline, at_line_end=at_line_end, marks_middle=marks, facts=facts
            )
            for multiline in (False, True)
            for at_line_end in (False, True)
        }

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def model(self) -> Denoiser:
        """The denoiser itself, on the CPU or wherever it runs; with a runtime of its own it is made on first use."""
        return self.checkpoint.model.to(self.dtype)

    @property
    def n_context_max(self) -> int:
        """The longest context of a request; the rest of the trained length is room for the answer's blocks."""
        return self.n_window - min(N_TOKENS_BLOCK, self.n_window // 4)

    def read_at_most(self, n_window: int) -> None:
        """Have requests hold at most n_window tokens of context and answer. Forgets cached contexts.

        Raises InputError for more than the model can read, or too few.
        """
        most = self.config.n_context_scaled
        if not MIN_WINDOW <= n_window <= most:
            raise InputError(f"{self.name} reads from {MIN_WINDOW} to {most} tokens of context, not {n_window}")
        self.n_window = n_window
        if self._cache_bytes is None:
            c, n_bytes = self.config, torch.empty((), dtype=self.dtype).element_size()
            window_bytes = n_window * 2 * c.n_layers * c.n_kv_heads * c.head_size * n_bytes
            self.cache = ContextCache(max(MAX_BYTES, N_WINDOWS_CACHED * window_bytes))

    @property
    def n_draft_tokens(self) -> int:
        """Tokens of all drafts that are verified for a request."""
        is_slow = self.device.type == "cpu" and not self.config.canvases
        return N_DRAFT_TOKENS_BODY if is_slow else N_DRAFT_TOKENS

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: device, dtype, parameters, checkpoint hash, context length, threads, languages."""
        return {
            "device": self.device.type,
            "runtime": self.runtime,
            "dtype": str(self.dtype).removeprefix("torch."),
            "parameters": self.checkpoint.n_parameters,
            "sha256": self.checkpoint.sha256,
            "context_tokens": self.n_context_max,
            "canvas_tokens": self.config.n_canvas,
            "threads": self.n_threads,
            "languages": languages_fact(self.checkpoint.languages),
            "torch": str(torch.__version__),
            **({"choice": self.choice} if self.choice else {}),
        }

    def tokens_for(self, hole: Hole) -> CanvasTokens:
        """The denoise loop's view of the vocabulary for a hole."""
        return self._tokens[hole.multiline, hole.suffix.lstrip(" \t")[:1] in ("", "\n", "\r")]

    def rehearse(self) -> None:
        """Do once what is compiled on first use, before anyone waits for it. Raises what a GPU's kernels raise."""
        hole = Hole(prefix="x = ", suffix="\n", language="python", replaced=(4, 4), multiline=False)
        if isinstance(self.run, GpuRunner):
            self.run.rehearse(self.tokens_for(hole))
        self.complete(CompletionRequest(hole=hole, path="", drafts=1, budget_ms=None), lambda: False)
        self.cache.clear()
        self.recent.clear()

    def begin(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> "RunningJob":
        """A job for request; is_cancelled is asked before every forward. Raises InputError."""
        return RunningJob(self.name, self.filling(request, is_cancelled))

    def advance(self, jobs: Sequence["RunningJob"], n_waiting: int = 0) -> None:
        """Take every job that has not ended one forward further, all together; n_waiting more wait for a slot.

        The more there are, the fewer steps each canvas gets (`fim.budget.step_ceiling`).
        """
        self.n_requests = n_waiting + sum(not job.filling.request.warms for job in jobs)
        open_jobs = [job for job in jobs if job.completion is None and job.error is None]
        new = [job for job in open_jobs if job.ask is None]
        asking = [(job, job.ask) for job in open_jobs if job.ask is not None]
        replies = self._answers([ask for _, ask in asking])
        if replies is None:
            self._advance_with_less(asking)
        else:
            for (job, _), reply in zip(asking, replies, strict=True):
                job.go_on(reply)
        for job in new:
            job.go_on(None)

    def _answers(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply] | None:
        """Replies to asks; None without the memory for them. What the failed forward held is free on return."""
        try:
            return self.run(asks)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _advance_with_less(self, asking: Sequence[tuple["RunningJob", ForwardRequest]]) -> None:
        """One forward for each job by itself, all cached contexts given up; those fail that still want too much."""
        logger.warning("out of memory with %d requests in a forward: cached contexts are given up", len(asking))
        self.cache.clear()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        for job, ask in asking:
            replies = self._answers([ask])
            if replies is None:
                job.error = EngineError(TOO_LITTLE_MEMORY)
            else:
                job.go_on(replies[0])

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole, alone. Raises InputError."""
        job = self.begin(request, is_cancelled)
        while job.completion is None:
            self.advance([job])
            if job.error is not None:
                raise job.error
        return job.completion

    def context_of(self, request: CompletionRequest) -> list[int]:
        """The tokens of a request's context."""
        return self.layout.context(request, self.n_context_max)

    def filling(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> CompletionJob:
        """The work on one request, not begun."""
        return CompletionJob(
            config=self.config,
            tokenizer=self.tokenizer,
            cache=self.cache,
            tokens=self.tokens_for(request.hole),
            ranker=self.checkpoint.ranker,
            prefix_ranker=self.checkpoint.prefix_ranker,
            request=request,
            context_of=self.context_of,
            is_cancelled=is_cancelled,
            ceiling=lambda: step_ceiling(self.n_requests),
            fills_whole=isinstance(self.run, GpuRunner),
            n_draft_tokens=self.n_draft_tokens,
            recent=self.recent,
            n_drafted=0 if self.checkpoint.head is None else self.checkpoint.head.config.n_canvas - 1,
            ngrams=self.checkpoint.ngrams,
            guesses=self.guesses,
        )


class RunningJob:
    """A `CompletionJob` on its way: what it asks for next and, in the end, its completion."""

    def __init__(self, model: str, filling: CompletionJob) -> None:
        self.model, self.filling = model, filling
        self.ask: ForwardRequest | None = None  # None before it has begun
        self.completion: Completion | None = None
        self.error: Exception | None = None
        self._work = filling.answer()
        self._started_s = time.monotonic()

    def go_on(self, reply: ForwardReply | None) -> None:
        """Send it the reply to its ask (None to begin)."""
        try:
            self.ask = self._work.send(reply)
            if isinstance(self.ask, Context) and (cut := self._cut_short()):
                self._work.close()  # what was read so far stays in the cache
                self.completion = self._completion(cut)
        except StopIteration as end:
            self.completion = self._completion(end.value)
        except Exception as error:  # one request's failure is no other's
            self.error = EngineError(TOO_LITTLE_MEMORY) if is_out_of_memory(error) else error

    def _cut_short(self) -> Result | None:
        """The answer of a job whose context need not be read on: nobody waits, or there is no time to begin one."""
        filling = self.filling
        if filling.is_cancelled():
            return CANCELLED
        has_begun = filling.effort.n_forwards > 0  # then there is a text already, which is the answer
        return SPENT if filling.effort.budget.expired() and not (has_begun or filling.request.warms) else None

    def _completion(self, answer: Result) -> Completion:
        filling, request = self.filling, self.filling.request
        return Completion(
            text=answer.text,
            range=request.hole.replaced,
            confidence=answer.confidence,
            finish_reason=answer.finish_reason,
            steps=filling.effort.n_forwards,
            n_tokens=answer.n_tokens,
            model=self.model,
            source=answer.source,
            prefixes=answer.prefixes,
            timings_ms=filling.effort.timings_ms | {"engine": 1000 * (time.monotonic() - self._started_s)},
            n_context=len(filling.context),
            n_cached=filling.n_cached,
            alternatives=answer.alternatives,
            trace=tuple(filling.tracer.frames),
        )


def load_infiller(
    checkpoint: Path | None = None,
    *,
    n_threads: int | None = None,
    device: torch.device | None = None,
    runtime: Runtime | None = None,
    dtype: torch.dtype | None = None,
    cache_bytes: int | None = None,
    head_start: HeadStartWork | None = None,
    rope_scale: float = 1.0,
) -> DenoisingInfiller:
    """Load a checkpoint folder, or the embedded model; device, runtime and dtype None are the fastest there are.

    head_start: what is done of it already, waited for where it is of use. rope_scale: how much longer contexts a body
    reads on a GPU than it was trained on (`DenoiserConfig`). A GPU without room for the model is left
    alone, and the CPU taken, unless device names it. Raises CheckpointError, or InputError for bad threads, a device
    that is not there or has no room, or a runtime that is not installed or is not for that device.
    """
    if n_threads is not None and n_threads < 1:
        raise InputError(f"threads must be at least 1, not {n_threads}")
    cpu = torch.device("cpu")
    wanted = device or (cpu if runtime == "openvino" else fastest_device())
    if runtime == "openvino" and wanted != cpu:
        raise InputError(CPU_ONLY)
    begun = head_start.result() if head_start and wanted == cpu else None
    loaded = load(begun.stored if begun else checkpoint or embedded_checkpoint())
    if rope_scale != 1:
        loaded = _stretched(loaded, rope_scale, wanted)
    place = wanted if wanted == cpu else _moved(loaded.model, wanted, is_asked_for=device is not None)

    def made(runtime: Runtime) -> DenoisingInfiller:
        number_format = dtype or best_dtype(place, runtime)
        threads = n_threads if runtime == "openvino" else n_threads or N_THREADS
        graph = begun.graph if begun else None
        return DenoisingInfiller(loaded, number_format, runtime, threads, cache_bytes, graph)

    if runtime is None and fastest_runtime(place) == "openvino":
        try:
            return made("openvino")
        except Exception as error:  # installed, but of no use here
            logger.warning("OpenVINO cannot run the model (%s): PyTorch does", type(error).__name__)
    infiller = made(runtime or "torch")
    if isinstance(infiller.run, GpuRunner):
        try:
            infiller.rehearse()
        except Exception as error:  # whatever Triton or CUDA graphs have to say: there is another way
            logger.warning("kernels do not run on this GPU (%s: %s): PyTorch alone does", type(error).__name__, error)
            infiller.run = ModelRunner(infiller.model)
    return infiller


def _stretched(loaded: Checkpoint, rope_scale: float, device: torch.device) -> Checkpoint:
    """The checkpoint for contexts that many times as long. Raises InputError where that makes no sense."""
    if loaded.config.canvases or device.type == "cpu":
        raise InputError("contexts can be stretched for published code models on a GPU only: leave --yarn out")
    return replace(loaded, config=replace(loaded.config, rope_scale=rope_scale))


def _moved(model: torch.nn.Module, wanted: torch.device, *, is_asked_for: bool) -> torch.device:
    """Move model to the wanted device, or to the CPU where it is of no use; where it is now.

    Raises InputError where a person asked for it.
    """
    try:
        model.to(wanted)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        if is_asked_for:
            reason = "it has no room for the model" if is_out_of_memory(error) else "PyTorch cannot use it"
            raise InputError(f"the device {wanted} is of no use: {reason}") from error
        logger.warning("the model does not go to %s (%s): the CPU is taken", wanted, type(error).__name__)
        wanted = torch.device("cpu")
        model.to(wanted)
    return wanted
