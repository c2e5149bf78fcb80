"""Records how a canvas settled, for people: a frame per denoise step, and one for a choice that no step shows."""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...fim.types import CellState, TraceCell, TraceFrame
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.code_tokenizer import TextTokenizer
from .denoise import DenoiseStep
from .healing import Healing

REFUSED: CellState = "refused"


@dataclass
class Tracer:
    """The frames of one completion so far. indent stands before the canvas and belongs to the answer; a canvas's tokens
    begin with the text of healing, which does not."""

    tokenizer: TextTokenizer
    tokens: CanvasTokens
    healing: Healing
    indent: str = ""
    frames: list[TraceFrame] = field(default_factory=list)

    def watching(self, before: Sequence[int], n_forwards: int, offset_ms: float) -> Callable[[DenoiseStep], None]:
        """An on_step for the canvas that follows the tokens before, which began after n_forwards and offset_ms."""

        def record(step: DenoiseStep) -> None:
            tokens = [*before]
            states: list[CellState] = ["kept"] * len(before)
            for token, is_new in zip(step.canvas[0].tolist(), step.committed[0].tolist(), strict=True):
                if token == self.tokens.end:
                    break
                tokens.append(token)
                states.append("masked" if token == self.tokens.mask else "new" if is_new else "kept")
            if "new" in states:  # refused tokens stand before the right one
                last = len(states) - 1 - states[::-1].index("new")
                states = [*states[:last], *(REFUSED for _ in step.refused), *states[last:]]
                tokens = [*tokens[:last], *step.refused, *tokens[last:]]
            cells = self._cells(tokens, states)
            self.frames.append(
                TraceFrame(step=n_forwards + step.index, elapsed_ms=offset_ms + step.elapsed_ms, cells=cells)
            )

        return record

    def choose(self, tokens: Sequence[int], n_forwards: int, elapsed_ms: float) -> None:
        """Add a frame with the chosen tokens, unless the last one shows them already."""
        states: list[CellState] = ["kept"] * len(tokens)
        cells = self._cells(tokens, states)
        if not self.frames or _text(self.frames[-1].cells) != _text(cells):
            self.frames.append(TraceFrame(step=n_forwards, elapsed_ms=elapsed_ms, cells=cells))

    def _cells(self, tokens: Sequence[int], states: Sequence[CellState]) -> tuple[TraceCell, ...]:
        """A cell for each token that shows text or is masked; a character of several tokens is in the last cell."""
        cells = [TraceCell(text=self.indent, state="kept")] if self.indent else []
        decoder, data = codecs.getincrementaldecoder("utf-8")("replace"), b""
        for i, (token, state) in enumerate(zip(tokens, states, strict=True)):
            if state == REFUSED:  # not a part of the text
                text = self.tokenizer.bytes_of(token).decode("utf-8", "replace")
                cells.append(TraceCell(text=text, state=state))
                continue
            n_before, data = len(self.healing.own(data)), data + self.tokenizer.bytes_of(token)
            is_last = [*tokens[i + 1 : i + 2], self.tokens.mask][0] == self.tokens.mask
            piece = decoder.decode(self.healing.own(data)[n_before:], is_last)
            if piece or state == "masked":
                cells.append(TraceCell(text=piece, state=state))
        return tuple(cells)


def _text(cells: Sequence[TraceCell]) -> str:
    return "".join(cell.text for cell in cells)
