"""What became of the texts that were shown: told by the editor, or read off what is typed.

Owns the counts and the rule that a text has one end. It does not know LSP messages or documents. Nothing leaves memory;
texts are not kept.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..fim.types import Outcome, OutcomeKind

log = logging.getLogger(__name__)
N_KEPT = 64  # answers whose outcome may still come
OutcomeEnd = Literal["accepted", "rejected"]


@dataclass
class _Open:
    """What is known of one shown text so far: whether a part was taken, how much of which answer, and how it ended."""

    is_partial: bool = False
    taken: dict[str, int] = field(default_factory=dict)
    ending: OutcomeEnd | None = None


class Outcomes:
    """Counts by kind, and of accepted characters.

    A shown text is known by the answer that it first came with (shown_id); while it is typed, or taken word by word,
    what is left of it comes with other answers. tells: whether the editor says itself what is on show and what is
    taken; then only that counts.
    """

    def __init__(self) -> None:
        self.tells = False
        self._counts: Counter[str] = Counter()
        self._open: OrderedDict[str, _Open] = OrderedDict()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many texts were shown, accepted, partially accepted and rejected, and how many characters were taken."""
        return {name: self._counts[name] for name in (*get_args(OutcomeKind), "characters")}

    def told(self) -> None:
        """The editor tells, this time of what it shows; what was inferred up to here was not for certain."""
        if not self.tells:
            self.tells = True
            self._counts.clear()
            self._open.clear()

    def may_infer(self, shown_id: str) -> bool:
        """Whether what is typed says anything of a text: where the editor tells, only of one that it said it shows."""
        return not self.tells or shown_id in self._open

    def shown(self, shown_id: str) -> None:
        """A text is on show. Again: nothing new."""
        if shown_id not in self._open:
            self._open[shown_id] = _Open()
            self._note("shown", shown_id, 0)
            while len(self._open) > N_KEPT:
                self._open.popitem(last=False)

    def n_new(self, shown_id: str, answer_id: str, n_chars: int) -> int:
        """How many of the first n_chars characters of an answer were not yet told to be taken; now they are."""
        taken = self._find(shown_id).taken
        n_before = taken.get(answer_id, 0)
        taken[answer_id] = max(n_before, n_chars)
        return max(0, n_chars - n_before)

    def took(self, shown_id: str, n_chars: int) -> None:
        """So many more characters of a text are taken, and there are others left."""
        found = self._find(shown_id)
        if found.ending is None and n_chars > 0:
            self._counts["characters"] += n_chars
            if not found.is_partial:
                self._note("partially_accepted", shown_id, n_chars)
            found.is_partial = True

    def accepted(self, shown_id: str, n_chars: int) -> None:
        """All that was left of a text, so many characters, is taken. Again: nothing new.

        What seemed rejected, because something else was inserted (an editor formats what it inserts), was not.
        """
        found = self._find(shown_id)
        if found.ending != "accepted":
            self._counts["rejected"] -= found.ending == "rejected" and not found.is_partial
            self._counts["characters"] += n_chars
            found.ending = "accepted"
            self._note("accepted", shown_id, n_chars)

    def rejected(self, shown_id: str) -> None:
        """Something else was typed, or the text was dismissed; one of which a part was taken stays as it is."""
        found = self._find(shown_id)
        if found.ending is None:
            found.ending = "rejected"
            if not found.is_partial:
                self._note("rejected", shown_id, 0)

    def _find(self, shown_id: str) -> _Open:
        self.shown(shown_id)  # what comes of a text was shown
        return self._open[shown_id]

    def _note(self, kind: OutcomeKind, shown_id: str, n_chars: int) -> None:
        self._counts[kind] += 1
        outcome = Outcome(completion_id=shown_id, kind=kind, n_chars=n_chars)
        log.info("outcome %s: %s, %d characters", outcome.completion_id, outcome.kind, outcome.n_chars)
