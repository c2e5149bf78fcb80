"""The rhythm of typing: what the latest edits say about when to ask, and whether to ask at all.

Counts deletions in a row and finds the pause that suits a person's speed. The caller passes in the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

N_BURST = 2  # a single backspace corrects a letter; from the second on, text is being deleted
N_INTERVALS = 24  # about two lines of typing
N_INTERVALS_LEAST = 4  # fewer tell nothing about a person's speed
LONGEST_INTERVAL_S = 1.0  # longer intervals are thinking, not typing
QUANTILE = 0.25


@dataclass(frozen=True)
class Rhythm:
    """The latest edits of one document; `after` gives the next state, and a value never changes.

    n_deletions counts the deletions in a row since anything was inserted; intervals_s are the latest times between two
    keys, in seconds, the newest last; last_s is when the latest edit came, None before the first.
    """

    n_deletions: int = 0
    intervals_s: tuple[float, ...] = ()
    last_s: float | None = None

    def after(self, n_inserted: int, n_deleted: int, at_s: float) -> Rhythm:
        """The rhythm after n_inserted characters replaced n_deleted at at_s (seconds, any monotonic clock).

        Any insertion, also a replacement, ends a run of deletions. Only keys tell the speed: edits that insert or
        delete a single character, soon after the edit before.
        """
        if not n_inserted and not n_deleted:
            return self
        n_deletions = 0 if n_inserted else self.n_deletions + 1
        return replace(
            self, n_deletions=n_deletions, intervals_s=self._intervals(n_inserted + n_deleted, at_s), last_s=at_s
        )

    def _intervals(self, n_changed: int, at_s: float) -> tuple[float, ...]:
        if self.last_s is None or n_changed != 1 or not 0 < at_s - self.last_s <= LONGEST_INTERVAL_S:
            return self.intervals_s
        return (*self.intervals_s, at_s - self.last_s)[-N_INTERVALS:]

    @property
    def in_deletion_burst(self) -> bool:
        """Whether text is being deleted: after N_BURST deletions in a row no completion is wanted."""
        return self.n_deletions >= N_BURST

    def pause_ms(self, least_ms: float = 0.0, most_ms: float = 150.0) -> float:
        """How long to wait for the next key before asking, in milliseconds, from least_ms to most_ms.

        The time within which a quarter (QUANTILE) of the latest keys came: it waits for the fastest keys, and three
        quarters of the keys lose no more than that. least_ms until enough keys were seen.
        """
        if len(self.intervals_s) < N_INTERVALS_LEAST:
            return least_ms
        ordered = sorted(self.intervals_s)
        return min(max(1000 * ordered[int(QUANTILE * len(ordered))], least_ms), most_ms)
