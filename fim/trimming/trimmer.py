"""What of several texts may be inserted at one hole.

Owns how long trees are read for one answer. It does not know candidates.
"""

import time
from collections.abc import Collection

from ..syntax.tree import Syntax
from ..types import Hole
from .context import TrimContext
from .trim import trim_in

# Of CPU, for what reads trees: it takes 2 to 20 ms, in 50,000 characters of nothing but errors 1.6 s (2026-11-22).
READING_S = 0.1


class Trimmer:
    """The rules for one hole. What trees say counts for as long as reading them takes no more than READING_S.

    off names rules that do not count; indent is one level of indentation as the editor has it.
    """

    def __init__(
        self,
        hole: Hole,
        syntax: Syntax | None,
        off: Collection[str] = (),
        indent: str | None = None,
    ) -> None:
        self._off = off
        self._stop_s = time.thread_time() + READING_S
        self._around = TrimContext(hole, syntax, indent)
        self._without_tree = TrimContext(hole, None, indent)

    def trimmed(self, text: str) -> str:
        """What of a text may be inserted; "" for nothing."""
        is_in_time = time.thread_time() < self._stop_s
        return trim_in(self._around if is_in_time else self._without_tree, text, "\n", self._off)
