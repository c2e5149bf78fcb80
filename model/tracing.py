"""Records how a canvas settled, for people: one frame a denoise step, and one for a choice that no step shows.

Knows tokens and their texts; knows no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..fim.types import TraceCell, TraceFrame
from .canvas_tokens import CanvasTokens
from .denoise import Step
from .healing import Healing
from .tokenizer import TextTokenizer


@dataclass
class Tracer:
    """The frames of one completion so far. indent: what stands before the canvas and belongs to the answer; healing:
    what a canvas's tokens begin with and does not."""

    tokenizer: TextTokenizer
    tokens: CanvasTokens
    healing: Healing
    indent: str = ""
    frames: list[TraceFrame] = field(default_factory=list)

    def watching(self, before: Sequence[int], n_forwards: int, offset_ms: float) -> Callable[[Step], None]:
        """An on_step for the canvas that follows the tokens before, begun after so many forwards and milliseconds."""
        kept = self._kept(before)

        def record(step: Step) -> None:
            cells = list(kept)
            for token, is_new in zip(step.canvas[0].tolist(), step.committed[0].tolist(), strict=True):
                if token == self.tokens.end:
                    break
                state = "masked" if token == self.tokens.mask else "new" if is_new else "kept"
                cells.append(TraceCell(text=self._piece(token), state=state))
            self.frames.append(
                TraceFrame(step=n_forwards + step.index, elapsed_ms=offset_ms + step.elapsed_ms, cells=tuple(cells))
            )

        return record

    def choose(self, tokens: Sequence[int], n_forwards: int, elapsed_ms: float) -> None:
        """Add a frame with what was chosen, unless the last one shows it already."""
        cells = self._kept(tokens)
        if not self.frames or _text(self.frames[-1].cells) != _text(cells):
            self.frames.append(TraceFrame(step=n_forwards, elapsed_ms=elapsed_ms, cells=cells))

    def _kept(self, tokens: Sequence[int]) -> tuple[TraceCell, ...]:
        indent = (TraceCell(text=self.indent, state="kept"),) if self.indent else ()
        cells, data = [], b""
        for token in tokens:
            n_before, data = len(self.healing.own(data)), data + self.tokenizer.bytes_of(token)
            piece = self.healing.own(data)[n_before:].decode("utf-8", errors="replace")
            cells += [TraceCell(text=piece, state="kept")] if piece else []
        return indent + tuple(cells)

    def _piece(self, token: int) -> str:
        return self.tokenizer.bytes_of(token).decode("utf-8", errors="replace")


def _text(cells: Sequence[TraceCell]) -> str:
    return "".join(cell.text for cell in cells)
