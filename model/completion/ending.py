"""Where a text ends though the model would go on: at a text that the caller cuts at, and where the rest is useless."""

from collections.abc import Sequence

import numpy as np

from ...fim.trimming.trim import trim
from ...fim.types import CompletionRequest
from ..decoding.healing import Healing
from ..decoding.partial_answer import PartialAnswer, grow
from ..ranking.ranker import probability_of
from ..tokenizers.canvas_tokens import CanvasTokens

DOUBT = 0.25  # share of the least useful probability: a body stops writing below it
Steps = tuple[np.ndarray, np.ndarray, np.ndarray]


class StopTexts:
    """The texts that the caller cuts an answer at (`CompletionRequest.stop`)."""

    def __init__(self, stop: Sequence[str], healing: Healing) -> None:
        self._stop, self._healing = [text.encode("utf-8", "replace") for text in stop], healing

    def __bool__(self) -> bool:
        return bool(self._stop)

    def is_in(self, row: PartialAnswer) -> bool:
        """Whether the settled text of an answer holds one of them."""
        if not self._stop:
            return False
        data = self._healing.own(b"".join(map(self._healing.tokenizer.bytes_of, row.tokens[: row.n_settled])))
        return any(text in data for text in self._stop)


class CanvasEnd:
    """Ends the first of some canvases, which follows before, at its first mask once the settled text holds one of
    stops. A `denoise.AfterStep`."""

    def __init__(self, stops: StopTexts, before: PartialAnswer, tokens: CanvasTokens) -> None:
        self._stops, self._before, self._tokens = stops, before, tokens

    def __call__(self, canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray) -> Steps:
        n = int((canvas[0] != self._tokens.mask).cumprod().sum())
        if not self._stops or n == canvas.shape[1]:
            return canvas, log_probs, stops
        if not self._stops.is_in(grow(self._before, canvas[0], log_probs[0], stops[0], self._tokens)):
            return canvas, log_probs, stops
        canvas, log_probs = canvas.copy(), log_probs.copy()
        canvas[0, n:], log_probs[0, n:] = self._tokens.end, 0
        return canvas, log_probs, stops


class BodyEnd:
    """Ends a body's canvas, which follows opening, once going on is useless. A `denoise.AfterStep`.

    That is after one of stops, and at the line break after which trimming would cut everything off, such as code
    outside the block or the line that follows the hole: a body seldom ends by itself. And it is when the text has
    become much less likely than the least useful probability; then is_doubtful is set.
    """

    def __init__(
        self,
        request: CompletionRequest,
        tokens: CanvasTokens,
        healing: Healing,
        stops: StopTexts,
        opening: PartialAnswer,
    ) -> None:
        self._request, self._tokens, self._healing, self._opening = request, tokens, healing, opening
        self._at_stop, self._n_seen, self.is_doubtful = CanvasEnd(stops, opening, tokens), 0, False

    def __call__(self, canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray) -> Steps:
        mask, end = self._tokens.mask, self._tokens.end
        written = canvas[0, : int((canvas[0] != mask).cumprod().sum())].tolist()
        least = self._request.min_probability * DOUBT
        while self._n_seen < len(written) and written[self._n_seen] != end:
            self._n_seen += 1
            n = self._n_seen
            sure = probability_of(self._opening.log_prob + float(log_probs[0, :n].sum()))
            self.is_doubtful = sure < least and self._may_cut(written[:n])
            if self.is_doubtful or self._is_over(written[:n]):
                canvas, log_probs = canvas.copy(), log_probs.copy()
                canvas[:, n:], log_probs[:, n:] = end, 0
                return canvas, log_probs, stops
        return self._at_stop(canvas, log_probs, stops)

    def _may_cut(self, written: Sequence[int]) -> bool:
        """Whether the text may be cut here: it has not ended by itself, and this is not inside a character."""
        if self._tokens.stops[written[-1]]:
            return False
        return not self._healing.text_of([*self._opening.tokens, *written]).endswith("\ufffd")

    def _is_over(self, written: Sequence[int]) -> bool:
        """Whether trimming cuts lines off written, which ends with a line break; then it would cut what follows too."""
        hole = self._request.hole
        if self._request.messages or not (hole.multiline and b"\n" in self._healing.tokenizer.bytes_of(written[-1])):
            return False
        text = self._healing.text_of([*self._opening.tokens, *written]).rstrip()
        kept = trim(hole, text).rstrip()
        return 0 < len(kept) < len(text)
