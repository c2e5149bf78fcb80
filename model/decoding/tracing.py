"""Records how a canvas settled, for people: a frame per denoise step, and one for a choice that no step shows."""

import codecs
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ...fim.types import CellState, TraceCell, TraceFrame
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.code_tokenizer import TextTokenizer
from .denoise import DenoiseStep
from .healing import Healing
from .partial_answer import PartialAnswer

REFUSED: CellState = "refused"
UNSETTLED: tuple[CellState, ...] = ("masked", "provisional", REFUSED)
MAX_CELLS = 100_000  # of all frames, 20 MB; an answer of default length has at most 10,000
N_MASKS = 96  # masks shown right of the text: an answer of open length may have thousands


@dataclass(frozen=True)
class TracedToken:
    """A token of a canvas, what happened to it, and the probability that the model gave it."""

    token: int
    state: CellState
    confidence: float = 0.0


@dataclass
class Tracer:
    """The newest frames of one completion. indent stands before the canvas and belongs to the answer; a canvas's tokens
    begin with the text of healing, which does not."""

    tokenizer: TextTokenizer
    tokens: CanvasTokens
    healing: Healing
    indent: str = ""
    frames: list[TraceFrame] = field(default_factory=list)

    def watching(self, before: PartialAnswer, n_forwards: int, offset_ms: float) -> Callable[[DenoiseStep], None]:
        """An on_step for the canvas that follows the answer before, which began after n_forwards and offset_ms."""

        def record(step: DenoiseStep) -> None:
            shown = [*_kept(before.tokens, before.log_probs), *self._canvas(step)]
            new = [i for i, each in enumerate(shown) if each.state == "new"]
            if new:  # refused tokens stand before the right one
                shown[new[-1] : new[-1]] = [TracedToken(token, REFUSED) for token in step.refused]
            cells = self._cells(shown)
            self._add(TraceFrame(step=n_forwards + step.index, elapsed_ms=offset_ms + step.elapsed_ms, cells=cells))

        return record

    def choose(self, tokens: Sequence[int], log_probs: Sequence[float], n_forwards: int, elapsed_ms: float) -> None:
        """Add a frame with the chosen tokens, unless the last one shows them already."""
        cells = self._cells(_kept(tokens, log_probs))
        if not self.frames or _text(self.frames[-1].cells) != _text(cells):
            self._add(TraceFrame(step=n_forwards, elapsed_ms=elapsed_ms, cells=cells))

    def _add(self, frame: TraceFrame) -> None:
        """Add a frame; the oldest of a long trace give way."""
        self.frames.append(frame)
        n_cells = sum(len(each.cells) for each in self.frames)
        while n_cells > MAX_CELLS and len(self.frames) > 1:
            n_cells -= len(self.frames.pop(0).cells)

    def _canvas(self, step: DenoiseStep) -> Iterator[TracedToken]:
        """The canvas after a step, up to its end."""
        mask, n_masks = self.tokens.mask, 0
        confidence, log_probs = step.confidence[0].tolist(), step.log_probs[0].tolist()
        for i, (token, predicted) in enumerate(zip(step.canvas[0].tolist(), step.predicted[0].tolist(), strict=True)):
            if token == self.tokens.end or n_masks == N_MASKS:
                return
            n_masks = n_masks + 1 if token == mask else 0
            if token != mask:
                yield TracedToken(token, "new" if step.committed[0, i] else "kept", math.exp(log_probs[i]))
            elif predicted != mask and self.tokenizer.bytes_of(predicted):
                yield TracedToken(predicted, "provisional", confidence[i])
            else:
                yield TracedToken(mask, "masked")

    def _cells(self, shown: Sequence[TracedToken]) -> tuple[TraceCell, ...]:
        """A cell for each token that shows text or is masked; a character of several tokens is in the last cell."""
        cells = [TraceCell(text=self.indent, state="kept", confidence=1.0)] if self.indent else []
        decoder, data = codecs.getincrementaldecoder("utf-8")("replace"), b""
        for i, each in enumerate(shown):
            piece = self.tokenizer.bytes_of(each.token)
            if each.state in UNSETTLED:  # not a part of the text
                cells.append(
                    TraceCell(text=piece.decode("utf-8", "replace"), state=each.state, confidence=each.confidence)
                )
                continue
            n_before, data = len(self.healing.own(data)), data + piece
            is_last = i + 1 == len(shown) or shown[i + 1].state in ("masked", "provisional")
            text = decoder.decode(self.healing.own(data)[n_before:], is_last)
            if text:
                cells.append(TraceCell(text=text, state=each.state, confidence=each.confidence))
        return tuple(cells)


def _kept(tokens: Sequence[int], log_probs: Sequence[float]) -> list[TracedToken]:
    return [
        TracedToken(token, "kept", math.exp(min(0.0, log_prob)))
        for token, log_prob in zip(tokens, log_probs, strict=True)
    ]


def _text(cells: Sequence[TraceCell]) -> str:
    return "".join(cell.text for cell in cells)
