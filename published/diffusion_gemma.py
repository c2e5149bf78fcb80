"""DiffusionGemma, by the class that `transformers` has for it: `fim.engine.Infiller` over a folder of the user.

It is no masked model. Its canvas begins as random tokens; each step keeps what it is sure of and draws the rest anew.
So neither our loop nor our backbone serves it: `generate` of `transformers` does, with the folder's own settings, and
is looked into at every step, which is where a request is cancelled, runs out of time or has its line. It was taught to
talk: the text behind the cursor is told to it as a user, and the text before the cursor is the beginning of its answer.
"""

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..fim.budget import Budget
from ..fim.errors import CheckpointError, EngineError, InputError
from ..fim.line_breaks import with_lf
from ..fim.types import Completion, CompletionRequest, FinishReason, Hole
from ..model.memory import is_out_of_memory
from .folder import CONFIG, GENERATION, TOO_LITTLE_MEMORY, hash_of, weight_files
from .layout import MOST_TOKENS, N_CHARS_PER_TOKEN, SUFFIX_SHARE
from .tokens import PublishedTokenizer, read_json, read_tokenizer

logger = logging.getLogger(__name__)

MODEL_TYPE = "diffusion_gemma"
TURNS = (("<|turn>", "<turn|>"), ("<start_of_turn>", "<end_of_turn>"))  # begin and end, of Gemma 4 and of those before
FENCE = "```"
N_CHARS_KEPT = 1_024  # typed before the beginning of a long text is cut anew: until then its states stay
ENTROPY_OF_A_LINE = 0.005  # nats a token, on average: what `transformers` takes for sure of a canvas
N_UNSETTLED = 8  # tokens before the cursor whose states are not kept: the next key may make others of them
SEED = 0  # of the canvas's random tokens: the same question gets the same answer
NEEDS = "DiffusionGemma is run by a transformers of its own time: pip install 'quicksilver-lsp[diffusion-gemma]'"


def is_diffusion_gemma(folder: Path) -> bool:
    """Whether config.json in folder says so."""
    try:
        return read_json(folder / CONFIG).get("model_type") == MODEL_TYPE
    except CheckpointError:
        return False


class _Enough(Exception):
    """The canvas is wanted as it is now."""


class _Watch:
    """Looks at every step of `generate`, as one of its logits processors: keeps the likeliest tokens, ends what is to
    end, and lets the model write text alone."""

    def __init__(
        self,
        forbidden: Tensor,
        stops: Tensor,
        budget: Budget,
        is_cancelled: Callable[[], bool],
        n_tokens: int,
        *,
        in_line: bool,
    ) -> None:
        self._forbidden, self._stops, self._in_line = forbidden, stops, in_line
        self._budget, self._is_cancelled, self._n_tokens = budget, is_cancelled, n_tokens
        self.n_steps = 0
        self.reason: FinishReason | None = None
        self.tokens: list[int] = []
        self.log_probs: list[float] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits [1, L, V] with those of forbidden tokens at -inf."""
        if self._is_cancelled():
            self.reason = "cancelled"
            raise _Enough
        self.n_steps += 1
        scores = scores.masked_fill(self._forbidden, float("-inf"))
        log_probs = scores[0].float().log_softmax(-1)  # [L, V]
        best, tokens = log_probs.max(-1)
        is_stop = self._stops[tokens[: self._n_tokens]].nonzero()
        n = int(is_stop[0]) + 1 if len(is_stop) else self._n_tokens
        before, self.tokens = self.tokens, tokens[:n].tolist()
        self.log_probs = best[:n].tolist()
        self.reason = "stop" if len(is_stop) else "length"
        if self._in_line and self.tokens == before and _entropy(log_probs[:n]) < ENTROPY_OF_A_LINE:
            raise _Enough
        if self._budget.spent(self.n_steps):
            self.reason = "budget"
            raise _Enough
        return scores


def _entropy(log_probs: Tensor) -> float:
    """Of log_probs [N, V], in nats, on average."""
    return float(-(log_probs.exp() * log_probs.clamp_min(torch.finfo(log_probs.dtype).min)).sum(-1).mean())


class GemmaJob:
    """One request."""

    def __init__(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> None:
        self.request, self.is_cancelled = request, is_cancelled
        self.budget = Budget.of(request.budget_ms, request.max_evaluations)
        self.started_s = time.monotonic()
        self.completion: Completion | None = None
        self.error: Exception | None = None


class GemmaInfiller:
    """DiffusionGemma on one device. For one thread, and one request after the other."""

    def __init__(
        self,
        name: str,
        model: Any,  # noqa: ANN401 (a class of transformers)
        tokenizer: PublishedTokenizer,
        ends: Sequence[int],
        sha256: str,
    ) -> None:
        self.name, self.model, self.tokenizer, self.sha256 = name, model, tokenizer, sha256
        text = model.config.get_text_config()
        self.n_canvas: int = model.config.canvas_length
        self.n_context = min(text.max_position_embeddings, MOST_TOKENS)
        self._opening = next((i for i in (text.bos_token_id, tokenizer.id_of("<bos>")) if isinstance(i, int)), None)
        marks = ((tokenizer.added.get(begin), tokenizer.added.get(end)) for begin, end in TURNS)
        self._turn = next(((begin, end) for begin, end in marks if begin is not None and end is not None), None)
        ids = torch.arange(text.vocab_size)
        is_end = torch.isin(ids, torch.tensor([*ends, *(self._turn or ())[1:]]))
        is_text = ids < tokenizer.n_ids
        is_text[[i for i in tokenizer.added.values() if i < len(ids)]] = False
        is_break = torch.isin(ids, torch.tensor(tokenizer.line_breaks(), dtype=torch.long)) & is_text
        device = model.device
        self._forbidden = (~is_text & ~is_end).to(device)
        self._stops = {
            True: is_end.to(device),
            False: (is_end | is_break).to(device),
        }  # by whether lines may be several
        self._kept: tuple[tuple[int, ...], Any] = ((), None)  # the last prompt and its states

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: family, device, dtype, parameters, hash, canvas, context length, threads."""
        return {
            "family": "diffusion-gemma",
            "device": self.model.device.type,
            "runtime": "transformers",
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "parameters": self.model.num_parameters(),
            "sha256": self.sha256,
            "context_cache": "exact",
            "context_tokens": self.n_context,
            "canvas_tokens": self.n_canvas,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def begin(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> GemmaJob:
        """A job for request; is_cancelled is asked before every step. Raises InputError."""
        if request.policy is not None:
            raise InputError("DiffusionGemma has a sampler of its own: leave the policy out")
        return GemmaJob(request, is_cancelled)

    def advance(self, jobs: Sequence[GemmaJob], n_waiting: int = 0) -> None:
        """Bring the first job that has not ended to its end."""
        for job in jobs:
            if job.completion is None and job.error is None:
                self._run(job)
                return

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole, alone. Raises InputError."""
        job = self.begin(request, is_cancelled)
        self._run(job)
        if job.error is not None:
            raise job.error
        assert job.completion is not None
        return job.completion

    def _run(self, job: GemmaJob) -> None:
        try:
            job.completion = self._filled(job)
        except Exception as error:  # one request's failure is no other's
            self._kept = ((), None)
            job.error = EngineError(TOO_LITTLE_MEMORY) if is_out_of_memory(error) else error

    def _filled(self, job: GemmaJob) -> Completion:
        request, hole = job.request, job.request.hole
        n_tokens = min(self.n_canvas, request.max_tokens or self.n_canvas)
        prompt = self.prompt(hole, n_tokens)
        budget = Budget.of(0.0) if request.warms else job.budget  # one step, and all has been read
        watch = _Watch(
            self._forbidden, self._stops[hole.multiline], budget, job.is_cancelled, n_tokens, in_line=not hole.multiline
        )
        n_cached = 0 if job.is_cancelled() else self._generate(prompt, watch, request.max_evaluations)
        n_text = sum(not self._stops[True][token] for token in watch.tokens)  # an end can only be the last
        text = "" if request.warms else self.tokenizer.decode(watch.tokens[:n_text], prompt)
        text, fence, _ = text.partition(f"\n{FENCE}")
        line_break = ""
        if not hole.multiline:
            text, line_break, _ = text.partition("\n")
        reason = "stop" if fence or line_break or request.warms else watch.reason or "cancelled"
        engine_ms = 1000 * (time.monotonic() - job.started_s)
        return Completion(
            text=text,
            range=hole.replaced,
            confidence=math.exp(min(0.0, sum(watch.log_probs))) if text else 0.0,
            finish_reason=reason,
            steps=watch.n_steps,
            n_tokens=n_text if text else 0,
            model=self.name,
            timings_ms={"prefill": 0.0, "denoise": engine_ms, "verify": 0.0, "engine": engine_ms},
            n_context=len(prompt),
            n_cached=n_cached,
        )

    def _generate(self, prompt: tuple[int, ...], watch: _Watch, max_steps: int) -> int:
        """Let the model write, as watch has it. Returns how many of the prompt's states were known already."""
        from transformers import LogitsProcessorList

        settled = prompt[:-N_UNSETTLED]
        n_cached, states = self._read(settled)
        steps = {"max_denoising_steps": max_steps} if max_steps < self._most_steps() else {}
        try:
            with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
                torch.manual_seed(SEED)
                self.model.generate(
                    torch.tensor([prompt[len(settled) :]], device=self.model.device),
                    cache=copy.deepcopy(states),  # it is written into
                    logits_processor=LogitsProcessorList([watch]),
                    max_new_tokens=self.n_canvas,
                    **steps,
                )
        except _Enough:
            pass
        return n_cached

    @torch.inference_mode()
    def _read(self, tokens: tuple[int, ...]) -> tuple[int, Any]:
        """The states of tokens, of which so many were known already; they are kept for the next request."""
        from transformers import DynamicCache

        known, states = self._kept
        self._kept = ((), None)
        n_known = len(known) if known and tokens[: len(known)] == known else 0
        if not n_known:
            states = DynamicCache(config=self.model.config.get_text_config(decoder=True))
        if n_known < len(tokens):
            new = torch.tensor([tokens[n_known:]], device=self.model.device)
            place = torch.arange(n_known, len(tokens), device=self.model.device).unsqueeze(0)
            self.model.model.encoder(input_ids=new, cache=states, position_ids=place)
        self._kept = (tokens, states)
        return n_known, states

    def _most_steps(self) -> int:
        settings = self.model.generation_config
        return settings.max_denoising_steps or settings._get_default_generation_params()["max_denoising_steps"]

    def prompt(self, hole: Hole, n_canvas: int) -> tuple[int, ...]:
        """The tokens before the canvas; of a long text, those nearest to the cursor."""
        encode, fence = self.tokenizer.encode, f"{FENCE}{hole.language if hole.language.isidentifier() else ''}\n"
        room = max(16, self.n_context - n_canvas - 64)
        opening = () if self._opening is None else (self._opening,)
        if self._turn is None:
            return (*opening, *encode(_end_of(with_lf(hole.prefix), room)))
        begin, end = self._turn
        n_suffix = int(room * SUFFIX_SHARE)
        suffix = with_lf(hole.suffix)[: n_suffix * N_CHARS_PER_TOKEN]
        rest = encode(suffix)[:n_suffix]
        told = (
            *encode("user\nFinish the code that your answer has begun. Write nothing but code."),
            *(encode(f" It is followed by\n{fence}") + rest + encode(f"\n{FENCE}") if suffix.strip() else ()),
        )
        prefix = encode(_end_of(with_lf(hole.prefix), room - len(told)))
        return (*opening, begin, *told, end, *encode("\n"), begin, *encode(f"model\n{fence}"), *prefix)


def _end_of(text: str, n_tokens: int) -> str:
    """The end of text that surely fits, from a place that stays the same while N_CHARS_KEPT are typed."""
    excess = len(text) - 2 * n_tokens  # of code a token holds three characters or more, seldom two
    if excess <= 0:
        return text
    start = -(-excess // N_CHARS_KEPT) * N_CHARS_KEPT
    line = text.find("\n", start) + 1
    return text[line or start :] or text[-n_tokens:]


def load_gemma(
    folder: Path, *, n_threads: int | None = None, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> GemmaInfiller:
    """Load a folder. Raises CheckpointError, or InputError without `transformers` or for a device that is of no use."""
    try:
        from transformers import DiffusionGemmaForBlockDiffusion
        from transformers.utils import logging as their_logging
    except ImportError as error:
        raise InputError(NEEDS) from error
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    start_s = time.monotonic()
    tokenizer, _ = read_tokenizer(folder)
    files = weight_files(folder)
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(hash_of, folder, files)
        try:
            model, told = cast("Any", DiffusionGemmaForBlockDiffusion).from_pretrained(
                folder, dtype=dtype or torch.bfloat16, local_files_only=True, use_safetensors=True,
                output_loading_info=True,
            )  # fmt: skip
        except Exception as error:  # its config classes, loaders and checks raise whatever they like
            if is_out_of_memory(error):
                raise InputError("there is not enough memory for this model") from error
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{folder} makes no DiffusionGemma: {reason}") from error
        lost = sorted({*told["missing_keys"], *(each[0] for each in told["mismatched_keys"])})
        if lost:
            raise CheckpointError(f"{folder} lacks weights for {lost[0]} ({len(lost)} in all): copy it again")
        try:
            model = model.to(place).eval().requires_grad_(False)
        except (MemoryError, RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
            reason = "it has no room for the model" if is_out_of_memory(error) else "PyTorch cannot use it"
            raise InputError(f"the device {place} is of no use: {reason}") from error
        sha256 = digest.result()
    logger.info("DiffusionGemma, %d parameters, in %.1f s", model.num_parameters(), time.monotonic() - start_s)
    ends = _ends(folder, model.config.get_text_config().vocab_size)
    return GemmaInfiller(folder.resolve().name, model, tokenizer, ends, sha256)


def _ends(folder: Path, vocab_size: int) -> list[int]:
    """The ids that end a text. Raises CheckpointError without one."""
    config = read_json(folder / CONFIG)
    sources = [config, config.get("text_config") or {}]
    if (folder / GENERATION).is_file():
        sources.append(read_json(folder / GENERATION))
    given = [source.get("eos_token_id") for source in sources]
    flat = [i for each in given for i in (each if isinstance(each, list) else [each])]
    ends = [i for i in dict.fromkeys(flat) if isinstance(i, int) and 0 <= i < vocab_size]
    if not ends:
        raise CheckpointError(f"no token that ends a text was found in {folder}: config.json needs an eos_token_id")
    return ends
