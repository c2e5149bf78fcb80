"""Outcomes of shown texts: reported by the editor, or inferred from what is typed.

Owns the counts and the rule that a text has one outcome. Nothing leaves memory; texts are not kept.
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
    """What is known of a shown text: whether a part was accepted, how much of which answer, and how it ended."""

    is_partial: bool = False
    taken: dict[str, int] = field(default_factory=dict)
    ending: OutcomeEnd | None = None


class Outcomes:
    """Counts by kind, and of accepted characters.

    A shown text is identified by the answer that it first came with (shown_id); while it is typed, or accepted word by
    word, its rest comes with other answers. tells: whether the editor itself reports what is on show and what is
    accepted; then only that counts.
    """

    def __init__(self) -> None:
        self.tells = False
        self._counts: Counter[str] = Counter()
        self._open: OrderedDict[str, _Open] = OrderedDict()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many texts were shown, accepted, partially accepted and rejected, and the characters accepted."""
        return {name: self._counts[name] for name in (*get_args(OutcomeKind), "characters")}

    def trust_editor(self) -> None:
        """The editor reports outcomes itself; those inferred so far were uncertain and are dropped."""
        if not self.tells:
            self.tells = True
            self._counts.clear()
            self._open.clear()

    def may_infer(self, shown_id: str) -> bool:
        """Whether an outcome may be inferred from typing: if the editor reports, only for texts that it has shown."""
        return not self.tells or shown_id in self._open

    def shown(self, shown_id: str) -> None:
        """A text is on show. Calling it again does nothing."""
        if shown_id not in self._open:
            self._open[shown_id] = _Open()
            self._note("shown", shown_id, 0)
            while len(self._open) > N_KEPT:
                self._open.popitem(last=False)

    def n_new(self, shown_id: str, answer_id: str, n_chars: int) -> int:
        """How many of the first n_chars characters of an answer were not counted as accepted yet; now they are."""
        taken = self._find(shown_id).taken
        n_before = taken.get(answer_id, 0)
        taken[answer_id] = max(n_before, n_chars)
        return max(0, n_chars - n_before)

    def took(self, shown_id: str, n_chars: int) -> None:
        """n_chars more characters of a text were accepted, and others are left."""
        found = self._find(shown_id)
        if found.ending is None and n_chars > 0:
            self._counts["characters"] += n_chars
            if not found.is_partial:
                self._note("partially_accepted", shown_id, n_chars)
            found.is_partial = True

    def accepted(self, shown_id: str, n_chars: int) -> None:
        """The rest of a text, n_chars characters, was accepted. Calling it again does nothing.

        This overrides a rejection inferred because the editor formatted what it inserted.
        """
        found = self._find(shown_id)
        if found.ending != "accepted":
            self._counts["rejected"] -= found.ending == "rejected" and not found.is_partial
            self._counts["characters"] += n_chars
            found.ending = "accepted"
            self._note("accepted", shown_id, n_chars)

    def rejected(self, shown_id: str) -> None:
        """Something else was typed, or the text was dismissed; a partially accepted text stays so."""
        found = self._find(shown_id)
        if found.ending is None:
            found.ending = "rejected"
            if not found.is_partial:
                self._note("rejected", shown_id, 0)

    def _find(self, shown_id: str) -> _Open:
        self.shown(shown_id)  # a text with an outcome was shown
        return self._open[shown_id]

    def _note(self, kind: OutcomeKind, shown_id: str, n_chars: int) -> None:
        self._counts[kind] += 1
        outcome = Outcome(completion_id=shown_id, kind=kind, n_chars=n_chars)
        log.info("outcome %s: %s, %d characters", outcome.completion_id, outcome.kind, outcome.n_chars)
