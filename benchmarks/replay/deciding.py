"""Which rules decide anything: a block that a rule did not touch goes just the same without it.

Owns the watch over the tables of gating, hole and trimming rules, in the process of a replay's server. It does not know
what a rule is for. Sources of context and the choice of what is shown are not watched.
"""

from collections.abc import Callable

from ...fim import gating, hole
from ...fim.trimming import trim
from ...fim.trimming.context import TrimContext

WATCHED = frozenset(name for name, _ in (*gating.GATING_RULES, *hole.HOLE_RULES, *trim.TRIM_RULES))


def watch_rules() -> set[str]:
    """Names of rules that have decided something from now on: the caller may empty the set.

    Puts watched rules in the place of the tables' own, for as long as this process lives.
    """
    decided: set[str] = set()
    gating.GATING_RULES = tuple((name, _watched_gate(name, rule, decided)) for name, rule in gating.GATING_RULES)
    hole.HOLE_RULES = tuple((name, _watched_hole(name, rule, decided)) for name, rule in hole.HOLE_RULES)
    trim.TRIM_RULES = tuple((name, _watched_trim(name, rule, decided)) for name, rule in trim.TRIM_RULES)
    return decided


def _watched_gate(name: str, rule: gating.Rule, decided: set[str]) -> gating.Rule:
    def watched(place: gating.CursorPlace) -> str | None:
        reason = rule(place)
        if reason is not None:
            decided.add(name)
        return reason

    return watched


def _watched_hole(name: str, allows: Callable[[hole.Cut], bool], decided: set[str]) -> Callable[[hole.Cut], bool]:
    def watched(cut: hole.Cut) -> bool:
        allowed = allows(cut)
        if not allowed:
            decided.add(name)
        return allowed

    return watched


def _watched_trim(
    name: str, rule: Callable[[TrimContext, str], str], decided: set[str]
) -> Callable[[TrimContext, str], str]:
    def watched(around: TrimContext, text: str) -> str:
        trimmed = rule(around, text)
        if trimmed != text:
            decided.add(name)
        return trimmed

    return watched
