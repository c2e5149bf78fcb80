"""DiffusionGemma, by the class that `transformers` has for it: `fim.engine.Infiller` over a folder of the user.

It is no masked model. Its canvas begins as random tokens; each step keeps what it is sure of and draws the rest anew.
So neither our loop nor our backbone serves it: `generate` of `transformers` does, with the folder's own settings, and
is looked into at every step, which is where a request is cancelled, runs out of time or has its line. It was taught to
talk: the text behind the cursor is told to it as a user, and the text before the cursor is the beginning of its answer.
What a step has drawn may be drawn anew in the next, so nothing of an answer is settled before its end.
"""

import copy
import inspect
import logging
import math
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never, cast

import torch
from torch import Tensor

from ...fim.budget import Budget
from ...fim.engine import Watch
from ...fim.errors import CheckpointError, InputError
from ...fim.text.line_breaks import with_lf
from ...fim.text.printable import printable
from ...fim.types import (
    AnswerProgress,
    ChatMessage,
    Completion,
    CompletionRequest,
    FinishReason,
    Hole,
    TraceCell,
    TraceFrame,
)
from ..completion.layout import N_CHARS_PER_TOKEN, SUFFIX_SHARE
from ..config import MAX_LAYERS
from ..languages import MANY, languages_fact
from ..out_of_memory import is_out_of_memory
from ..ranking.ranker import probability_of
from ..runners.torch_load import fastest_device
from ..stepping import RunningJob, SteppingInfiller
from ..storage.folder_files import MAX_TOKENIZER_BYTES, check_memory, excerpt, is_there, open_file, read_json
from ..tokenizers.canvas_tokens import check_predicted
from ..tokenizers.chat_template import ChatTemplate
from ..tokenizers.rules import is_token_id
from .chat import no_chat, read_chat
from .folder import (
    CONFIG,
    GENERATION,
    INDEX,
    WEIGHTS,
    check_finite,
    check_vocabulary,
    hash_of,
    no_end,
    told_ends,
    weight_files,
)
from .layout import MOST_TOKENS
from .progress import Decode, spelt
from .tokens import PublishedTokenizer, read_tokenizer

logger = logging.getLogger(__name__)

ADAPTER = "adapter_config.json"
TURNS = (("<|turn>", "<turn|>"), ("<start_of_turn>", "<end_of_turn>"))  # begin and end, of Gemma 4 and of those before
FENCE = "```"
N_CONTEXT_LEAST = 384  # tokens, beside the canvas: less holds no question
N_CHARS_KEPT = 1_024  # typed before the beginning of a long text is cut anew: until then its states stay
N_TOKENS_KEPT = 256  # the same for a text of few characters a token
ENTROPY_OF_A_LINE = 0.005  # nats a token, on average: what `transformers` takes for sure of a canvas
N_UNSETTLED = 8  # tokens before the cursor whose states are not kept: the next key may make others of them
N_SETTLED = 64  # states are kept for a multiple of so many tokens, so that what is deleted seldom costs them
SEED = 0  # of the canvas's random tokens: the same question gets the same answer
NEEDS = "DiffusionGemma is run by a transformers of its own time: pip install 'quicksilver-lsp[diffusion-gemma]'"

GemmaWork = Generator[Never, None, Completion]


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
        on_step: Callable[["_Watch"], None] = lambda watch: None,
    ) -> None:
        """on_step is called after each step."""
        self._on_step = on_step
        self._forbidden, self._stops, self._in_line = forbidden, stops, in_line
        self._budget, self._is_cancelled, self._n_tokens = budget, is_cancelled, n_tokens
        self.n_steps = 0
        self.reason: FinishReason = "length"
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
        check_predicted(log_probs.amax().cpu().numpy())
        best, tokens = log_probs.max(-1)
        is_stop = self._stops[tokens[: self._n_tokens]].nonzero()
        n = int(is_stop[0]) + 1 if len(is_stop) else self._n_tokens
        before, self.tokens = self.tokens, tokens[:n].tolist()
        self.log_probs = best[:n].tolist()
        self.reason = "stop" if len(is_stop) else "length"
        self._on_step(self)
        if self._in_line and self.tokens == before and _entropy(log_probs[:n]) < ENTROPY_OF_A_LINE:
            raise _Enough
        if self._budget.spent(self.n_steps):
            self.reason = "budget"
            raise _Enough
        return scores


@dataclass
class _Told:
    """What is told of an answer while it is written: frames of what stands on the canvas, none of it settled."""

    request: CompletionRequest
    watch: Watch | None
    started_s: float
    frames: list[TraceFrame] = field(default_factory=list)

    def note(self, step: _Watch, decode: Decode) -> None:
        """Tell of a step."""
        if self.request.trace:
            scores = spelt(step.tokens, step.log_probs, decode(step.tokens), decode)
            cells = tuple(
                TraceCell(text=each.text, state="provisional", confidence=math.exp(each.log_prob))
                for each in scores
                if each.text
            )
            elapsed_ms = 1000 * (time.monotonic() - self.started_s)
            self.frames.append(TraceFrame(step=step.n_steps, elapsed_ms=elapsed_ms, cells=cells))
        if self.watch is not None:
            frame = self.frames[-1] if self.frames else None
            self.watch(AnswerProgress(settled="", steps=step.n_steps, frame=frame))


def _entropy(log_probs: Tensor) -> float:
    """Of log_probs [N, V], in nats, on average."""
    return float(-(log_probs.exp() * log_probs.clamp_min(torch.finfo(log_probs.dtype).min)).sum(-1).mean())


class GemmaInfiller(SteppingInfiller[Never, Never]):
    """DiffusionGemma on one device. For one thread, and one request after the other."""

    def __init__(
        self,
        name: str,
        model: Any,  # noqa: ANN401 (a class of transformers)
        tokenizer: PublishedTokenizer,
        ends: Sequence[int],
        sha256: str,
        chat: ChatTemplate | None = None,
    ) -> None:
        super().__init__()
        self.name, self.model, self.tokenizer, self.sha256, self.chat = name, model, tokenizer, sha256, chat
        text = model.config.get_text_config()
        self.n_canvas: int = model.config.canvas_length
        self.n_context = min(text.max_position_embeddings, MOST_TOKENS)
        openings = (text.bos_token_id, tokenizer.id_of("<bos>"), ends[0])
        self._opening = next(i for i in openings if isinstance(i, int) and 0 <= i < text.vocab_size)
        marks = ((tokenizer.added.get(begin), tokenizer.added.get(end)) for begin, end in TURNS)
        self._turn = next(((begin, end) for begin, end in marks if begin is not None and end is not None), None)
        ids = torch.arange(text.vocab_size)
        is_end = torch.isin(ids, torch.tensor([*ends, *(self._turn or ())[1:]]))
        # Gemma's line breaks and indentations are added tokens too, though they are text.
        is_text = tokenizer.text_ids({i for added, i in tokenizer.added.items() if _is_written(added)}, len(ids))
        is_break = torch.isin(ids, torch.tensor(tokenizer.line_breaks(), dtype=torch.long)) & is_text
        device = model.device
        self._forbidden = (~is_text & ~is_end).to(device)
        # What ends an answer, by whether it may have several lines.
        self._stops = {True: is_end.to(device), False: (is_end | is_break).to(device)}
        self._kept: tuple[tuple[int, ...], Any] = ((), None)  # the settled part of the last prompt, and its states

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
            "languages": languages_fact(MANY),
            "chat": int(self.chat is not None),
            "torch": str(torch.__version__),
        }

    def work_on(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> GemmaWork:
        """The work on request, not begun; is_cancelled is asked before every step. Of request.sampling only the seed
        counts: the model draws by its folder's own temperatures. Raises InputError."""
        if request.policy is not None:
            raise InputError("DiffusionGemma has a sampler of its own: leave the policy out")
        budget = Budget.of(request.budget_ms, request.max_evaluations)
        prompt = self._told(request.messages) if request.messages else self.prompt(request.hole)
        return self._all_at_once(request, prompt, is_cancelled, budget, _Told(request, watch, time.monotonic()))

    def forward(self, asks: Sequence[Never]) -> list[Never]:
        """Nothing: `generate` runs the model's forwards itself, so no work asks for any."""
        return []

    def make_room(self) -> None:
        """Give up the states of the last prompt."""
        self._kept = ((), None)

    def advance(self, jobs: Sequence[RunningJob[Never, Never]], n_waiting: int = 0) -> None:
        """Bring the first job that has not ended to its end, so that its answer does not wait for others."""
        super().advance([job for job in jobs if not job.has_ended][:1], n_waiting)

    def _all_at_once(
        self,
        request: CompletionRequest,
        prompt: tuple[int, ...],
        is_cancelled: Callable[[], bool],
        budget: Budget,
        told: "_Told",
    ) -> GemmaWork:
        try:
            return self._filled(request, prompt, is_cancelled, budget, told)
        except Exception:
            self.make_room()
            raise
        yield  # it is a generator, as the work on every request is

    def _filled(
        self,
        request: CompletionRequest,
        prompt: tuple[int, ...],
        is_cancelled: Callable[[], bool],
        budget: Budget,
        told: "_Told",
    ) -> Completion:
        hole = request.hole
        n_tokens = min(self.n_canvas, request.max_tokens or self.n_canvas)
        has_lines = hole.multiline or bool(request.messages)

        def decode(tokens: Sequence[int]) -> str:
            return self.tokenizer.decode([token for token in tokens if not self._stops[True][token]], prompt)

        watch = _Watch(
            self._forbidden, self._stops[has_lines], budget, is_cancelled, n_tokens,
            in_line=not has_lines, on_step=lambda step: told.note(step, decode),
        )  # fmt: skip
        n_cached, reason = 0, "cancelled"
        if not is_cancelled():
            n_cached, states = self._read(prompt)
            reason = "stop" if request.warms else self._generate(prompt, states, watch, request)
        text, n_text, is_whole = self._text(watch.tokens, prompt, request)
        if is_whole and reason == "length":
            reason = "stop"
        engine_ms = 1000 * (time.monotonic() - told.started_s)
        return Completion(
            text=text,
            range=hole.replaced,
            confidence=probability_of(sum(watch.log_probs[:n_text])) if text else 0.0,
            finish_reason=reason,
            steps=watch.n_steps,
            n_tokens=n_text,
            model=self.name,
            timings_ms={"prefill": 0.0, "denoise": engine_ms, "verify": 0.0, "engine": engine_ms},
            n_context=len(prompt),
            n_cached=n_cached,
            trace=tuple(told.frames),
            tokens=spelt(watch.tokens, watch.log_probs, text, decode) if request.log_probs else (),
        )

    def _text(
        self, tokens: Sequence[int], prompt: tuple[int, ...], request: CompletionRequest
    ) -> tuple[str, int, bool]:
        """What of tokens is the answer, how many of them hold it, and whether it ended before they did: with the line,
        or with a fence, by which the model closes the one that the prompt has opened for it."""
        n = sum(not self._stops[True][token] for token in tokens)  # an end can only be the last
        text, hole = self.tokenizer.decode(tokens[:n], prompt), request.hole
        if request.messages:
            return text, n, False
        cut = len(text)
        if self._turn is not None:
            begins_line = hole.prefix[-1:] in ("", "\n", "\r")
            opened = "\n" if begins_line else ""  # which then stands in the prompt
            place = (opened + text).find(f"\n{FENCE}")
            cut = cut if place < 0 else max(0, place - len(opened))
        if not hole.multiline and "\n" in text:
            cut = min(cut, text.index("\n"))
        if cut == len(text):
            return text, n, False
        holds = (i for i in range(n) if len(self.tokenizer.decode(tokens[:i], prompt)) >= cut)
        return text[:cut], next(holds, n), True

    def _generate(
        self,
        prompt: tuple[int, ...],
        states: Any,  # noqa: ANN401 (a class of transformers)
        watch: _Watch,
        request: CompletionRequest,
    ) -> FinishReason:
        """Let the model write after prompt, of whose beginning these are the states, as watch has it."""
        from transformers.generation.logits_process import LogitsProcessorList

        max_steps, sampling = request.max_evaluations, request.sampling
        seed = SEED if sampling is None else secrets.randbits(32) if sampling.seed is None else sampling.seed
        steps = {"max_denoising_steps": max_steps} if max_steps < self._most_steps() else {}
        try:
            with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
                torch.manual_seed(seed)
                self.model.generate(
                    torch.tensor([prompt[states.get_seq_length() :]], device=self.model.device),
                    cache=copy.deepcopy(states),  # it is written into
                    logits_processor=LogitsProcessorList([watch]),
                    max_new_tokens=self.n_canvas,
                    **steps,
                )
        except _Enough:
            pass
        return watch.reason

    @torch.inference_mode()
    def _read(self, prompt: tuple[int, ...]) -> tuple[int, Any]:
        """The states of the settled part of prompt, of which so many were known already; kept for the next request."""
        from transformers.cache_utils import DynamicCache

        tokens = prompt[: max(0, len(prompt) - N_UNSETTLED) // N_SETTLED * N_SETTLED]
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

    def _told(self, messages: Sequence[ChatMessage]) -> tuple[int, ...]:
        """The tokens of a conversation. Raises InputError without a template, or if it is too long."""
        if self.chat is None:
            raise no_chat(self.name)
        return tuple(self.chat.fit(messages, self.tokenizer.encode, self.n_context - self.n_canvas))

    def prompt(self, hole: Hole) -> tuple[int, ...]:
        """The tokens before the canvas; of a long text, those nearest to the cursor."""
        room = self.n_context - self.n_canvas - 1
        if self._turn is None:
            return (self._opening, *self._end_of(with_lf(hole.prefix), room))
        begin, end = self._turn
        encode, fence = self.tokenizer.encode, f"{FENCE}{hole.language if hole.language.isidentifier() else ''}\n"
        told = encode("user\nFinish the code that your answer has begun. Write nothing but code.")
        follows, closing = encode(f" It is followed by\n{fence}"), encode(f"\n{FENCE}")
        answer = [end, *encode("\n"), begin, *encode(f"model\n{fence}")]
        room = max(1, room - len(told) - len(follows) - len(closing) - len(answer) - 1)
        n_suffix = int(room * SUFFIX_SHARE)
        suffix = with_lf(hole.suffix)[: n_suffix * N_CHARS_PER_TOKEN]
        rest = encode(suffix)[:n_suffix] if suffix.strip() else []
        if rest:
            told += [*follows, *rest, *closing]
        return (self._opening, begin, *told, *answer, *self._end_of(with_lf(hole.prefix), room - len(rest)))

    def _end_of(self, text: str, n_tokens: int) -> list[int]:
        """At most n_tokens of the end of text, from a place that stays the same while some are typed."""
        excess = len(text) - n_tokens * N_CHARS_PER_TOKEN
        start = max(0, -(-excess // N_CHARS_KEPT) * N_CHARS_KEPT)
        tokens = self.tokenizer.encode(text[start:])
        step = min(N_TOKENS_KEPT, max(1, n_tokens // 4))
        return tokens[max(0, -(-(len(tokens) - n_tokens) // step) * step) :]


def _is_written(added: str) -> bool:
    """Whether an added token has any sign that is not blank."""
    return bool(added.replace("▁", " ").strip())


def load_gemma(
    folder: Path, *, n_threads: int | None = None, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> GemmaInfiller:
    """Load a folder. Raises CheckpointError, or InputError without `transformers` or for a device that is of no use."""
    try:
        from transformers.models.diffusion_gemma import DiffusionGemmaForBlockDiffusion
        from transformers.utils import logging as their_logging
    except ImportError as error:
        raise InputError(NEEDS) from error
    if "cache" not in inspect.signature(DiffusionGemmaForBlockDiffusion.generate).parameters:
        raise InputError(NEEDS)  # before 5.24 the argument had another name, and ours would be left unread
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    start_s = time.monotonic()
    tokenizer, tokenizer_config = read_tokenizer(folder)
    ends = _ends(folder)
    _check_files(folder)
    files = weight_files(folder)
    if is_there(folder / WEIGHTS) and is_there(folder / INDEX):
        raise CheckpointError(f"{folder} holds both {WEIGHTS} and {INDEX}: take away the one that is not the model's")
    place = device or fastest_device()
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(hash_of, folder, files)
        model = _model(
            folder, dtype or torch.bfloat16, sum(t.n_numbers for each in files.values() for t in each.values())
        )
        _check(folder, model, tokenizer, ends)
        try:
            model = model.to(place).eval().requires_grad_(False)
        except (MemoryError, RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
            reason = "it has no room for the model" if is_out_of_memory(error) else "PyTorch cannot use it"
            raise InputError(f"the device {place} is of no use: {reason}") from error
        for name, weight in model.named_parameters():
            check_finite(folder, name, weight)
        sha256 = digest.result()
    logger.info("DiffusionGemma, %d parameters, in %.1f s", model.num_parameters(), time.monotonic() - start_s)
    chat = read_chat(folder, tokenizer_config, tokenizer)
    return GemmaInfiller(printable(folder.resolve().name), model, tokenizer, ends, sha256, chat)


def _check_files(folder: Path) -> None:
    """Whether `transformers` may read the folder: its JSON is opened here first. Raises CheckpointError."""
    for path in folder.glob("*.json"):
        open_file(path, MAX_TOKENIZER_BYTES).close()
    if is_there(folder / ADAPTER):
        raise CheckpointError(f"{folder} holds {ADAPTER}, which would load another model: take it away")
    config = read_json(folder / CONFIG)
    for part in (config, *config.values()):
        n_layers = part.get("num_hidden_layers", 1) if isinstance(part, dict) else 1
        if type(n_layers) is not int or not 0 < n_layers <= MAX_LAYERS:
            raise CheckpointError(f"{folder} makes no DiffusionGemma: it has {excerpt(repr(n_layers))} layers")


def _model(folder: Path, dtype: torch.dtype, n_numbers: int) -> Any:  # noqa: ANN401 (a class of transformers)
    """The model, if its config.json asks for about the n_numbers that the files hold."""
    from transformers.models.diffusion_gemma import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

    try:
        with torch.device("meta"):
            config = DiffusionGemmaConfig.from_pretrained(folder, local_files_only=True)
            n_wanted = sum(each.numel() for each in DiffusionGemmaForBlockDiffusion(config).parameters())
        if n_wanted > 2 * n_numbers:  # what is missing would be made; of less, the names are said below
            raise CheckpointError(f"{folder} lacks weights: it has {n_numbers:,} numbers, not {n_wanted:,}")
        check_memory(folder, n_wanted * dtype.itemsize)
        model, told = cast("Any", DiffusionGemmaForBlockDiffusion).from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except CheckpointError:
        raise
    except Exception as error:  # its config classes, loaders and checks raise whatever they like
        if is_out_of_memory(error):
            raise InputError("there is not enough memory for this model") from error
        raise CheckpointError(f"{folder} makes no DiffusionGemma: {excerpt(error)}") from error
    lost = sorted({*told["missing_keys"], *(each[0] for each in told["mismatched_keys"])})
    if lost:
        raise CheckpointError(f"{folder} lacks weights for {excerpt(lost[0])} ({len(lost)} in all): copy it again")
    # We bring a cache and say how long a text may be.
    model.generation_config.cache_implementation = model.generation_config.max_length = None
    return model


def _check(folder: Path, model: Any, tokenizer: PublishedTokenizer, ends: Sequence[int]) -> None:  # noqa: ANN401
    """Whether the parts fit together. Raises CheckpointError."""
    text, canvas = model.config.get_text_config(), model.config.canvas_length
    check_vocabulary(folder, tokenizer, text.vocab_size)
    if max(ends) >= text.vocab_size:
        raise CheckpointError(
            f"{folder} ends a text with {max(ends)}, but its model has {text.vocab_size} tokens alone"
        )
    if type(canvas) is not int or canvas < 1 or canvas + N_CONTEXT_LEAST > text.max_position_embeddings:
        raise CheckpointError(
            f"{folder} has a canvas of {canvas} tokens in {text.max_position_embeddings}: no model has"
        )


def _ends(folder: Path) -> list[int]:
    """The ids that end a text. Raises CheckpointError without one."""
    config = read_json(folder / CONFIG)
    generation = read_json(folder / GENERATION) if is_there(folder / GENERATION) else {}
    told = told_ends(config, config.get("text_config"), generation)
    ends = list(dict.fromkeys(i for i in told if is_token_id(i)))
    if not ends:
        raise no_end(folder)
    return ends
