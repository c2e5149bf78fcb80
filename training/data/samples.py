"""Training samples: a document cut at characters, its context in SPM order, noisy canvases over it, and continuations.

Shapes: T context tokens, M canvases of L tokens. Everything random comes from the caller's generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from ...fim.drafts.search import find_drafts
from ...fim.errors import InputError
from ...fim.types import Hole
from ...model.completion.layout import OwnLayout
from ...model.special_tokens import Special
from ...model.tokenizers.code_tokenizer import CodeTokenizer
from ..corpus.corpus import CorpusDocument
from .holes import cut

N_DRAFTS = 3  # one of this many of the best drafts is taken
N_CHARS_PER_TOKEN = 6  # upper end, to cut windows of text before they are tokenised
IGNORE = -100


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """How samples are cut and noised. Shares are probabilities; hole_mix: characters, rest of line, lines, block."""

    n_context: int = 512
    n_canvas: int = 32
    n_hole_canvases: int = 2
    n_anchor_canvases: int = 4
    near_anchor_share: float = 0.5
    n_continuations: int = 3
    hole_mix: tuple[float, float, float, float] = (0.4, 0.3, 0.2, 0.1)
    fully_masked_share: float = 0.35
    left_biased_share: float = 0.5
    mask_floor: float = 0.1
    wrong_token_share: float = 0.1
    draft_share: float = 0.3
    draft_mask_max: float = 0.6
    mark_middle: bool = True
    middle_weight: float = 3.0
    suffix_share_max: float = 0.4
    no_suffix_share: float = 0.1
    n_middle_max: int = 96

    @property
    def n_branches(self) -> int:
        """Canvases and continuations of a sample."""
        return self.n_hole_canvases + self.n_anchor_canvases + self.n_continuations * self.mark_middle

    def __post_init__(self) -> None:
        if abs(sum(self.hole_mix) - 1) > 1e-6:
            raise ValueError(f"hole_mix must sum to 1, not {sum(self.hole_mix)}")


@dataclass(frozen=True)
class Batch:
    """tokens and targets [B, T] (targets IGNORE where nothing is asked); target_weights [B, T] of the next-token loss
    (0 where nothing is asked, more than 1 in the middle); canvases, canvas_targets [B, M, L]; weights [B, M, L] in the
    canvas loss, or the next-token loss where is_causal (0 = not asked); anchors [B, M]: the context position before
    each canvas; is_causal [B, M]: which of the canvases are continuations, MIDDLE and the target but for its last."""

    tokens: np.ndarray
    targets: np.ndarray
    target_weights: np.ndarray
    canvases: np.ndarray
    canvas_targets: np.ndarray
    weights: np.ndarray
    anchors: np.ndarray
    is_causal: np.ndarray


@dataclass
class SampleStream:
    """Endless samples from documents, drawn in proportion to their length."""

    documents: Sequence[CorpusDocument]
    tokenizer: CodeTokenizer
    config: SampleConfig
    _lengths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        lengths = np.array([len(d.text) for d in self.documents], dtype=np.float64)
        if not lengths.sum():
            raise InputError("a split of the corpus holds no text: build the corpus again")
        self._lengths = np.cumsum(lengths) / lengths.sum()

    def batch(self, rng: Generator, size: int) -> Batch:
        """A batch of size samples."""
        rows = [self.sample(rng) for _ in range(size)]
        return Batch(*(np.stack(column) for column in zip(*rows, strict=True)))

    def sample(self, rng: Generator) -> tuple[np.ndarray, ...]:
        """One sample, as a row of Batch."""
        document = self.documents[int(np.searchsorted(self._lengths, rng.random()))]
        start, end = cut(rng, document.text, self.config.hole_mix)
        context, anchor, middle = self._context(rng, document, start, end)
        draft = self._draft(rng, document.text, start, end) if rng.random() < self.config.draft_share else None
        tokens = np.full(self.config.n_context + 1, self.tokenizer.special(Special.PAD), dtype=np.int64)
        tokens[: len(context)] = context
        targets = tokens[1:].copy()
        targets[len(context) - 1 :] = IGNORE
        if self.config.mark_middle:
            targets[anchor] = IGNORE  # the context cannot tell where the cursor will be
        weights = (targets != IGNORE).astype(np.float32)
        weights[anchor:] *= self.config.middle_weight
        return tokens[:-1], targets, weights, *self._canvases(rng, context, anchor, middle, draft)

    def _context(self, rng: Generator, document: CorpusDocument, start: int, end: int) -> tuple[list[int], int, str]:
        """Context tokens with the middle and EOM at their end, the last prefix position, and the middle's text.

        The room for the middle is drawn without a look at it. If it were just what this middle needs, the position of
        the cursor would betray the middle's length, and the model would learn that instead of what the text says
        (docs/log/).
        """
        config, encode = self.config, self.tokenizer.encode
        text = document.text
        n_middle_max = min(config.n_middle_max, config.n_context // 4)
        n_room = int(rng.integers(min(config.n_canvas, n_middle_max), n_middle_max + 1))
        middle_text = text[start : min(end, start + n_room * N_CHARS_PER_TOKEN)]
        middle = encode(middle_text)
        is_cut = len(middle) > n_room or len(middle_text) < end - start
        tail = middle[:n_room] if is_cut else [*middle, self.tokenizer.special(Special.EOM)]
        layout = OwnLayout(self.tokenizer)
        head = layout.head("python", document.path)
        room = config.n_context - n_room - len(head) - 3
        share = 0.0 if rng.random() < config.no_suffix_share else rng.random() * config.suffix_share_max
        prefix_start = max(0, start - room * N_CHARS_PER_TOKEN)
        if prefix_start:
            prefix_start = text.rfind("\n", 0, prefix_start) + 1
        prefix = encode(text[prefix_start:start])
        n_suffix = room - min(len(prefix), int(room * (1 - share)))
        suffix = encode(text[end : end + n_suffix * N_CHARS_PER_TOKEN])[:n_suffix] if share else []
        prefix = prefix[max(0, len(prefix) - (room - len(suffix))) :]
        context = layout.join(head, suffix, prefix)
        mark = [self.tokenizer.special(Special.MIDDLE)] if config.mark_middle else []
        return context + mark + tail, len(context) - 1, middle_text

    def _draft(self, rng: Generator, text: str, start: int, end: int) -> list[int] | None:
        """The tokens of a text that stands elsewhere in the document after the same characters; None without one."""
        at = (start, end)
        hole = Hole(
            prefix=text[:start], suffix=text[end:], language="python", replaced=at, multiline="\n" in text[start:end]
        )
        found = find_drafts(hole, n_max=N_DRAFTS)
        return self.tokenizer.encode(found[int(rng.integers(len(found)))].text) if found else None

    def _canvases(
        self, rng: Generator, context: list[int], anchor: int, middle: str, draft: list[int] | None
    ) -> tuple[np.ndarray, ...]:
        """canvases, canvas_targets, weights [M, L], anchors and is_causal [M].

        First come the hole's own canvases, the last of which draft takes over; then canvases at anchors before the
        hole, far from it or near; then continuations near it. A sample has but one hole and a model must see many ends,
        so what begins near the hole is a longer hole with the same end.
        """
        config = self.config
        prefix_start = context.index(self.tokenizer.special(Special.PREFIX))
        has_mark = context[anchor + 1 : anchor + 2] == [self.tokenizer.special(Special.MIDDLE)]
        text = context[: anchor + 1] + context[anchor + 1 + has_mark :]
        rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        anchors: list[int] = []
        masks = None
        for i in range(config.n_hole_canvases + config.n_anchor_canvases):
            if i < config.n_hole_canvases:
                at, (target, known) = anchor, self._target(text, anchor)
            elif rng.random() < config.near_anchor_share:
                at, target, known = self._near(rng, text, max(prefix_start, anchor - config.n_canvas), anchor, middle)
            else:
                at = int(rng.integers(prefix_start, anchor + 1))
                target, known = self._target(text, at)
            anchors.append(at)
            if draft is not None and i == config.n_hole_canvases - 1:
                rows.append(self._drafted(rng, target, known, draft))
                continue
            masks = draw_mask(rng, config, masks if i == 1 and config.n_hole_canvases > 1 else None)
            rows.append(self._noise(rng, target, known, masks))
        n_continuations = config.n_branches - len(rows)
        for _ in range(n_continuations):
            at, target, known = self._near(rng, text, max(prefix_start, anchor - config.n_canvas), anchor, middle)
            anchors.append(at)
            rows.append(self._continued(target, known))
        canvases, targets, weights = (np.stack(column) for column in zip(*rows, strict=True))
        is_causal = np.arange(len(rows)) >= len(rows) - n_continuations
        return canvases, targets, weights, np.array(anchors, dtype=np.int64), is_causal

    def _target(self, text: list[int], anchor: int) -> tuple[np.ndarray, np.ndarray]:
        """What stands in the canvas after anchor [L], EOM to the end, and where that is known (bool [L])."""
        ends = text[-1] == self.tokenizer.special(Special.EOM)
        return self._filled_up(text[anchor + 1 : len(text) - ends], ends)

    def _filled_up(self, tokens: list[int], ends: bool) -> tuple[np.ndarray, np.ndarray]:
        """The first L tokens, EOM behind them [L], and where that is known (bool [L]): everywhere, if the text ends."""
        length = self.config.n_canvas
        target = np.full(length, self.tokenizer.special(Special.EOM), dtype=np.int64)
        target[: len(tokens)] = tokens[:length]
        return target, np.arange(length) < (length if ends else len(tokens))

    def _near(
        self, rng: Generator, text: list[int], start: int, anchor: int, middle: str
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """A place from start to right before anchor, more often a late one, and the target after it: see `_target`.

        Tokens are made anew across the hole's cut, which a person who types would not see.
        """
        at = anchor - int(np.exp(rng.uniform(0.0, np.log(anchor - start + 1)))) if anchor > start else anchor
        before = self.tokenizer.decode(text[at + 1 : anchor + 1])
        if "\ufffd" in before:  # it begins or ends within a character
            return at, *self._target(text, at)
        ends = text[-1] == self.tokenizer.special(Special.EOM)
        tokens = self.tokenizer.encode(before + middle)
        return at, *self._filled_up(tokens if ends else tokens[:-1], ends)  # the last one may be cut

    def _continued(self, target: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A continuation to target, asked for up to its first end: all [L]."""
        is_end = target == self.tokenizer.special(Special.EOM)
        canvas = np.concatenate(([self.tokenizer.special(Special.MIDDLE)], target[:-1]))
        asked = known & (is_end.cumsum() - is_end < 1)
        return canvas, target, (asked * self.config.middle_weight).astype(np.float32)

    def _noise(
        self, rng: Generator, target: np.ndarray, known: np.ndarray, masked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mask and falsify a canvas: canvas, target and weights, all [L]."""
        config = self.config
        masked = masked | ~known
        wrong = ~masked & (rng.random(len(target)) < config.wrong_token_share)
        canvas = np.where(masked, self.tokenizer.special(Special.MASK), target)
        canvas = np.where(wrong, rng.integers(0, self.tokenizer.n_text, len(target)), canvas)
        return canvas, target, self._weights(target, (masked | wrong) & known)

    def _drafted(
        self, rng: Generator, target: np.ndarray, known: np.ndarray, draft: list[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A canvas that starts from draft, some of it masked, and asks for the target everywhere: all [L]."""
        canvas = np.full(len(target), self.tokenizer.special(Special.EOM), dtype=np.int64)
        kept = draft[: len(canvas)]
        canvas[: len(kept)] = kept
        masked = rng.random(len(canvas)) < rng.random() * self.config.draft_mask_max
        canvas[masked] = self.tokenizer.special(Special.MASK)
        return canvas, target, self._weights(target, known)

    def _weights(self, target: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """1 where asked, but all ends behind the first together weigh as one token; float32 [L].

        The first end says where the text ends, so it counts as much as any token; the others follow from it.
        """
        weights = asked.astype(np.float32)
        ends = target == self.tokenizer.special(Special.EOM)
        others = ends & asked & (ends.cumsum() > 1)
        if others.any():
            weights[others] = 1.0 / others.sum()
        return weights


def draw_mask(rng: Generator, config: SampleConfig, previous: np.ndarray | None) -> np.ndarray:
    """Masked positions, bool [L]: all, or a bell-shaped share; previous asks for its complement if that is any."""
    length = config.n_canvas
    if previous is not None and not previous.all():
        return ~previous
    if rng.random() < config.fully_masked_share:
        return np.ones(length, dtype=bool)
    share = max(config.mask_floor, float(rng.beta(2.0, 2.0)))
    n_masked = max(1, min(length, round(share * length)))
    order = rng.random(length)
    if rng.random() < config.left_biased_share:
        order = order + np.arange(length) / length * 2  # positions on the left tend to be revealed first
    return np.argsort(np.argsort(-order)) < n_masked
