"""How far a published model's answer has come: what is settled of its text, its trace, and the texts it is cut at.

Tokens of published models need not be bytes, so texts are compared as decoded.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...fim.engine import Watch
from ...fim.types import AnswerProgress, CellState, CompletionRequest, TokenScore, TraceCell, TraceFrame
from ..decoding.denoise import AfterStep, DenoiseStep
from ..tokenizers.canvas_tokens import CanvasTokens

HALF = "\ufffd"  # what a part of a character decodes to
Decode = Callable[[Sequence[int]], str]


@dataclass(kw_only=True)
class CanvasProgress:
    """The answer to one request so far: done are the tokens before the canvas, which it follows. decode gives the text
    of an answer's tokens."""

    request: CompletionRequest
    watch: Watch | None
    tokens: CanvasTokens
    decode: Decode
    done: list[int] = field(default_factory=list)
    done_log_probs: list[float] = field(default_factory=list)
    frames: list[TraceFrame] = field(default_factory=list)

    @property
    def in_line(self) -> bool:
        """Whether a line break ends the answer."""
        return not (self.request.hole.multiline or self.request.messages)

    def go_on(self, tokens: Sequence[int], log_probs: Sequence[float]) -> None:
        """Let the next canvas follow tokens, too."""
        self.done += tokens
        self.done_log_probs += log_probs

    def settled(self, row: np.ndarray) -> str:
        """The text left of the first mask of a canvas [L]; it ends with a whole character."""
        return self._text([*self.done, *self._left(row)])

    def has_stop(self, row: np.ndarray) -> bool:
        """Whether the settled text holds one that the caller cuts at."""
        text = self.settled(row) if self.request.stop else ""
        return any(stop in text for stop in self.request.stop)

    def ending(self, changed: AfterStep) -> AfterStep:
        """changed, and then the end of a canvas [1, L] whose settled text holds a stop."""

        def change(
            canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            canvas, log_probs, stops = changed(canvas, log_probs, stops)
            is_mask = canvas == self.tokens.mask
            if len(canvas) > 1 or not is_mask.any() or not self.has_stop(canvas[0]):
                return canvas, log_probs, stops
            return np.where(is_mask, self.tokens.end, canvas), np.where(is_mask, np.float32(0), log_probs), stops

        return change

    def note(self, step: DenoiseStep, n_forwards: int, elapsed_ms: float) -> None:
        """What is told of a step: n_forwards and elapsed_ms count from the answer's beginning."""
        if self.request.trace:
            cells = tuple(self._cells(step))
            self.frames.append(TraceFrame(step=n_forwards, elapsed_ms=elapsed_ms, cells=cells))
        if self.watch is not None:
            settled = self.settled(step.canvas[0]) if self.request.streams and len(step.canvas) == 1 else ""
            frame = self.frames[-1] if self.frames else None
            self.watch(AnswerProgress(settled=settled, steps=n_forwards, frame=frame))

    def _left(self, row: np.ndarray) -> list[int]:
        is_mask = row == self.tokens.mask
        n = int(is_mask.argmax()) if is_mask.any() else len(row)
        return [token for token in row[:n].tolist() if token != self.tokens.end]

    def _text(self, tokens: Sequence[int]) -> str:
        text = self.decode(tokens).rstrip(HALF)
        return text.partition("\n")[0] if self.in_line else text

    def _cells(self, step: DenoiseStep) -> Iterator[TraceCell]:
        run: list[tuple[CellState, int, float]] = [
            ("kept", token, log_prob) for token, log_prob in zip(self.done, self.done_log_probs, strict=True)
        ]
        row, log_probs, confidence = step.canvas[0].tolist(), step.log_probs[0].tolist(), step.confidence[0].tolist()
        for i, token in enumerate(row):
            if token == self.tokens.end:
                break
            if token != self.tokens.mask:
                run.append(("new" if step.committed[0, i] else "kept", token, log_probs[i]))
                continue
            yield from self._run(run)
            run, predicted = [], int(step.predicted[0, i])
            text = "" if predicted in (self.tokens.mask, self.tokens.end) else self.decode([predicted])
            if text:
                yield TraceCell(text=text, state="provisional", confidence=confidence[i])
            else:
                yield TraceCell(text="", state="masked")
        yield from self._run(run)

    def _run(self, run: Sequence[tuple[CellState, int, float]]) -> Iterator[TraceCell]:
        tokens = [token for _, token, _ in run]
        scores = spelt(tokens, [log_prob for *_, log_prob in run], self.decode(tokens), self.decode)
        for (state, _, _), score in zip(run, scores, strict=False):
            if score.text:
                yield TraceCell(text=score.text, state=state, confidence=float(np.exp(score.log_prob)))


def spelt(tokens: Sequence[int], log_probs: Sequence[float], text: str, decode: Decode) -> tuple[TokenScore, ...]:
    """The tokens that hold text, the beginning of what they decode to, with their log-probabilities [N]. Their texts
    spell it: that of a character of several tokens stands with the last of them."""
    found: list[TokenScore] = []
    n_told = 0
    for i, log_prob in enumerate(log_probs):
        if n_told == len(text):
            break
        is_last = i + 1 == len(tokens)
        n = len(text) if is_last else min(len(decode(tokens[: i + 1]).rstrip(HALF)), len(text))
        n = max(n, n_told)
        found.append(TokenScore(text=text[n_told:n], log_prob=min(0.0, log_prob)))
        n_told = n
    return tuple(found)
