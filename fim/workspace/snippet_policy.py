"""When to choose the snippets of a document anew.

Snippets are first in the context, so a new choice makes the engine read everything again. They stay while a person
types, and change at a jump of the cursor, or in a pause if imports, other files or the place have changed. The caller
passes in the time.
"""

from dataclasses import dataclass

JUMP_LINES = 30
PAUSE_S = 0.3  # without an edit; the server reads the context ahead only when the choice has settled


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a choice depends on: the cursor's line, the imports, how often other documents and the workspace changed."""

    line: int
    imports: tuple[object, ...] = ()
    n_other_visits: int = 0
    n_workspace_changes: int = 0


class SnippetPolicy:
    """The rule for one document: it is told where the cursor is, and says whether to choose."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._line: int | None = None
        self._jumped = False
        self._edited_s = float("-inf")

    @property
    def is_urgent(self) -> bool:
        """Whether nothing was chosen yet, or the cursor has jumped."""
        return self._basis is None or self._jumped

    @property
    def has_jumped(self) -> bool:
        """Whether the cursor has jumped since the last choice."""
        return self._jumped

    def see(self, line: int, now_s: float, *, edited: bool) -> None:
        """The cursor is on this line; edited: by an edit there. now_s is on any monotonic clock."""
        if self._line is not None and abs(line - self._line) > JUMP_LINES:
            self._jumped = True
        self._line = line
        if edited:
            self._edited_s = now_s

    def has_paused(self, now_s: float) -> bool:
        """Whether the last edit is long enough ago."""
        return now_s - self._edited_s >= PAUSE_S

    def wants(self, basis: Basis, now_s: float) -> bool:
        """Whether snippets should be chosen now, on this basis."""
        if self._basis is None or self._jumped:
            return True
        if not self.has_paused(now_s):
            return False
        moved = abs(basis.line - self._basis.line) > JUMP_LINES
        old = self._basis
        changed = (basis.imports, basis.n_other_visits, basis.n_workspace_changes) != (
            old.imports,
            old.n_other_visits,
            old.n_workspace_changes,
        )
        return moved or changed

    def chose(self, basis: Basis) -> None:
        """Snippets were chosen on this basis."""
        self._basis, self._jumped = basis, False
