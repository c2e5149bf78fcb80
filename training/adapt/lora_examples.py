"""Examples that teach a published body our layout: contexts exactly as serving builds them, and how the hole goes on.

A document is cut at characters. The context is `BodyLayout.context` of the cut; the target is the hole's text, begun
with the open piece at the cursor, then the end mark. Everything random comes from the caller's generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.random import Generator

from ...fim.errors import InputError
from ...fim.types import CompletionRequest, Hole
from ...model.completion.layout import N_CHARS_PER_TOKEN, BodyLayout
from ...model.tokenizers.body_tokenizer import BodyTokenizer
from ..corpus.corpus import CorpusDocument
from ..data.holes import cut

N_BEFORE = 100  # characters left of the open piece that are encoded anew, to see whether the hole changes their tokens
N_FEW_LINES = 6
N_SNIPPETS = 2
N_TRIES = 1_000
PYTHON = ".py"
LENGTH_MAX = 20_000  # characters: a longer document is not drawn more often


@dataclass(frozen=True, kw_only=True)
class LoraExampleConfig:
    """How examples are cut. Shares are probabilities; hole_mix: characters, rest of line, lines, block.

    n_context_median is the window's length in tokens, drawn around it between n_context_min and n_context_max.
    """

    hole_mix: tuple[float, float, float, float] = (0.3, 0.35, 0.25, 0.1)
    column_zero_share: float = 0.12
    path_share: float = 0.5
    snippet_share: float = 0.12
    no_suffix_share: float = 0.1
    few_lines_share: float = 0.1
    n_context_median: int = 140
    n_context_spread: float = 0.55
    n_context_min: int = 64
    n_context_max: int = 768
    n_middle_min: int = 32
    n_middle_max: int = 96
    end_weight: float = 2.5
    prefix_weight: float = 0.1
    n_prefix: int = 16
    python_share: float = 0.5

    def __post_init__(self) -> None:
        if abs(sum(self.hole_mix) - 1) > 1e-6:
            raise ValueError(f"hole_mix must sum to 1, not {sum(self.hole_mix)}")


@dataclass(frozen=True)
class LoraExample:
    """Tokens [T]: a context of n_context, then the target; the weight [T - 1] in the loss of each token but the first.

    open_piece is what the answer has to begin with; is_whole says that the end mark is the last token.
    """

    tokens: np.ndarray
    weights: np.ndarray
    n_context: int
    open_piece: str
    is_whole: bool


@dataclass
class LoraStream:
    """Endless examples: half of them Python, the rest of other languages; long documents more often than short ones."""

    documents: Sequence[CorpusDocument]
    tokenizer: BodyTokenizer
    config: LoraExampleConfig
    _layout: BodyLayout = field(init=False)
    _ends: np.ndarray = field(init=False)  # of each document's share, summed up
    _packages: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        if not self.documents:
            raise InputError("the data hold no document: collect them again")
        self._layout = BodyLayout(self.tokenizer)
        self._ends = np.cumsum(_shares(self.documents, self.config.python_share))
        self._packages = {}
        for i, document in enumerate(self.documents):
            self._packages.setdefault(document.package, []).append(i)

    def example(self, rng: Generator) -> LoraExample:
        """The next example. Raises InputError if no document yields one."""
        for _ in range(N_TRIES):
            at = min(int(np.searchsorted(self._ends, rng.random())), len(self.documents) - 1)
            found = self._cut(rng, at)
            if found is not None:
                return found
        raise InputError("no hole of the data makes an example: are its texts empty, or of one character?")

    def _cut(self, rng: Generator, at: int) -> LoraExample | None:
        document, config = self.documents[at], self.config
        start, end = cut(rng, document.text, config.hole_mix)
        if rng.random() < config.column_zero_share:
            start = document.text.rfind("\n", 0, start) + 1
        n_context = config.n_context_median * np.exp(config.n_context_spread * rng.standard_normal())
        n_context = int(np.clip(n_context, config.n_context_min, config.n_context_max))
        suffix = "" if rng.random() < config.no_suffix_share else document.text[end:]
        first = _few_lines(rng, document.text, start) if rng.random() < config.few_lines_share else 0
        hole = Hole(
            prefix=document.text[first:start], suffix=suffix, language="", replaced=(start, end),
            multiline="\n" in document.text[start:end],
        )  # fmt: skip
        snippets = self._snippets(rng, at) if rng.random() < config.snippet_share else ()
        path = document.path if rng.random() < config.path_share else ""
        request = CompletionRequest(hole=hole, path=path, snippets=snippets)
        # Drawn without a look at the hole: else the window would betray the hole's length (decision 7).
        n_middle = int(rng.integers(config.n_middle_min, config.n_middle_max + 1))
        return self.of_request(request, document.text[start:end], n_context, n_middle)

    def _snippets(self, rng: Generator, at: int) -> tuple[str, ...]:
        """Pieces of other documents of the same package."""
        others = [i for i in self._packages[self.documents[at].package] if i != at]
        found = []
        for _ in range(int(rng.integers(1, N_SNIPPETS + 1)) if others else 0):
            text = self.documents[others[int(rng.integers(len(others)))]].text
            start = text.rfind("\n", 0, int(rng.integers(0, max(1, len(text))))) + 1
            lines = text[start:].split("\n")[: int(rng.integers(3, 12))]
            found.append("\n".join(lines))
        return tuple(text for text in found if text.strip())

    def of_request(self, request: CompletionRequest, middle: str, n_context: int, n_middle: int) -> LoraExample | None:
        """The example of a hole and its text; None if the text changes the tokens of the context.

        n_context is the most tokens of the context, n_middle of the target; a longer one has no end.
        """
        context = self._layout.context(request, n_context)
        prefix = request.hole.prefix
        open_piece = self.tokenizer.open_piece(prefix)
        left = prefix.removesuffix(open_piece)
        left = left[self.tokenizer.last_boundary(left[:-N_BEFORE]) :]
        before = self.tokenizer.encode(left)
        shown = middle[: n_middle * N_CHARS_PER_TOKEN]
        whole = self.tokenizer.encode(left + open_piece + shown)
        if whole[: len(before)] != before:
            return None
        target = whole[len(before) :]
        is_whole = len(shown) == len(middle) and len(target) < n_middle
        target = [*target, self.tokenizer.marks.end] if is_whole else target[: min(n_middle, len(target) - 1)]
        if not target:
            return None
        return self._weighted(context, target, open_piece, is_whole)

    def _weighted(self, context: list[int], target: list[int], open_piece: str, is_whole: bool) -> LoraExample:
        config = self.config
        weights = np.zeros(len(context) + len(target) - 1, dtype=np.float32)
        weights[len(context) - 1 :] = 1
        if is_whole:
            weights[-1] = config.end_weight
        middle = len(context) - 1 - context[::-1].index(self.tokenizer.marks.middle)
        weights[max(middle, len(context) - 1 - config.n_prefix) : len(context) - 1] = config.prefix_weight
        tokens = np.array([*context, *target], dtype=np.int64)
        return LoraExample(tokens, weights, len(context), open_piece, is_whole)


def _few_lines(rng: Generator, text: str, start: int) -> int:
    """The offset of a line a few lines above start."""
    at = start
    for _ in range(int(rng.integers(1, N_FEW_LINES + 1))):
        at = max(0, text.rfind("\n", 0, at))
    return at + 1 if at else 0


def _shares(documents: Sequence[CorpusDocument], python_share: float) -> np.ndarray:
    """Each document's probability: languages by the root of their length, documents by their length up to a bound."""
    lengths = np.array([min(len(document.text), LENGTH_MAX) for document in documents], dtype=np.float64)
    languages = np.array([PurePosixPath(document.path).suffix for document in documents])
    shares = np.zeros(len(documents))
    for language in np.unique(languages):
        own = languages == language
        total = lengths[own].sum()
        shares[own] = lengths[own] * total**-0.5 if total else 0.0
    is_python = languages == PYTHON
    for own, share in ((is_python, python_share), (~is_python, 1 - python_share)):
        if shares[own].sum():
            shares[own] *= share / shares[own].sum()
    if not shares.sum():
        raise InputError("the data hold no text: collect them again")
    return shares / shares.sum()
