"""What of a text may be inserted at a hole, and whether it breaks the syntax there.

Owns how long trees are read for one answer, and what is counted once for all texts. It does not know candidates.
"""

import time
from collections.abc import Callable, Collection
from functools import cache

from ..syntax.tree import Syntax
from ..types import Hole
from .context import TrimContext, nowhere
from .known_words import completes_known_word
from .parse_errors import errors_before, new_errors
from .trim import trim_in

# Of CPU, for what reads trees: it takes 2 to 20 ms, in 50,000 characters of nothing but errors 1.6 s (2026-11-22).
CHECKING_S = 0.1


class Checks:
    """The checks for one hole. What trees say counts for as long as reading them takes no more than CHECKING_S.

    off names rules that do not count; stands_elsewhere says of a word whether another file has it; indent is one level
    of indentation as the editor has it.
    """

    def __init__(
        self,
        hole: Hole,
        syntax: Syntax | None,
        off: Collection[str] = (),
        stands_elsewhere: Callable[[str], bool] = nowhere,
        indent: str | None = None,
    ) -> None:
        self._hole, self._off = hole, off
        self._stop_s = time.thread_time() + CHECKING_S
        self._n_before: int | None = None  # errors without any text; counted when it matters: two parses
        known = cache(stands_elsewhere)  # it looks through other files
        self._around = TrimContext(hole, syntax, known, indent)
        self._without_tree = TrimContext(hole, None, known, indent)
        self.knows = cache(self._knows)

    def trimmed(self, text: str) -> str:
        """What of a text may be inserted; "" for nothing."""
        return trim_in(self._around if self._is_in_time() else self._without_tree, text, "\n", self._off)

    def breaks_syntax(self, text: str) -> bool:
        """Whether a text brings parse errors that were not there before; False without a tree."""
        tree = self._around.syntax
        if tree is None or "parse-errors" in self._off or not self._is_in_time():
            return False
        if self._n_before is None:
            self._n_before = errors_before(tree, self._hole)
        return new_errors(tree, self._hole, text, self._n_before) > 0

    def _knows(self, text: str) -> bool:
        """Whether a text makes the begun word one that is known."""
        return "known-words" in self._off or completes_known_word(self._around, text)

    def _is_in_time(self) -> bool:
        return time.thread_time() < self._stop_s
