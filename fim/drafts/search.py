"""Drafts: text that followed the same characters elsewhere in the file or in other files.

Where the characters before the cursor occur again, what followed them is a draft for the hole; the more of them agree,
the better. Drafts are guesses: the engine verifies them before one is shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..syntax.blocks import indent_of
from ..types import DraftSource, Hole, Offer
from .analogies import find_analogies
from .twins import Twin, find_twin

N_MATCH_MAX = 80  # characters before the cursor that are compared
N_AFTER_MAX = 40  # characters after the hole that are compared
SEEDS = (24, 12, 6, 3)  # characters that an occurrence must share at least: the longest seeds first
N_PLACES_MAX = 64  # occurrences of one seed that are tried, the nearest first
N_BRIDGE_MAX = 240  # characters within which a draft must meet the text right of the cursor
BRIDGE_KEYS = (8, 4, 2)  # how much of that text it must meet, the most first; all but the first on the same line
N_LINES_MAX = 12
# The weight of a twin of n tokens, in characters that agree literally. Chosen by eye on one run over 500
# files of installed packages (682 twins, 2026-11-29), some of which the model learnt from: at the beginning of a line
# 29 % of twins of less than 15 tokens were right, as of drafts with 40 characters. No held-out check.
TWIN_CHARS, TWIN_CHARS_TOKEN = 30, 0.75
# From so many tokens on, its text was right more often than with the other function's names (36 times against 14; with
# fewer 15 against 20; same run).
N_TOKENS_SURE = 15
N_CHARS_MAX = 2_000  # of a draft: more than any answer has tokens for; longer lines give none


@dataclass(frozen=True)
class Draft:
    """A text for the hole: where it was found and how many characters agree before it and after it.

    n_shape counts the tokens left of the cursor that agree with a line of the same shape (see `analogies`, `twins`),
    n_changed the names that were replaced; both are 0 for a literal match. A twin's n_before is the number of
    characters that would have to agree literally for the text to be right as often.
    """

    text: str
    source: DraftSource
    n_before: int
    n_after: int
    n_shape: int = 0
    n_changed: int = 0


def find_drafts(hole: Hole, snippets: Sequence[str] = (), n_max: int = 6, offers: Sequence[Offer] = ()) -> list[Draft]:
    """At most n_max different drafts, including offers; [] if nothing agrees.

    Literal ones come first, the best match ahead: the text left of the cursor is searched from its end, then the text
    right of the hole, then snippets from the last one; offers are literal matches in other files. Up to a third of the
    places are kept for lines or functions of the same shape.
    """
    twin = _twin(hole) if n_max > 0 else None
    analogies = _analogies(hole, twin, n_max // 3)
    sent = [Draft(o.text, o.source, o.n_before, o.n_after) for o in offers if _fits(o, hole)]
    found = best_of([*_literal(hole, snippets, n_max - len(analogies)), *sent])
    kept = (draft for draft in found if twin is None or not _is_renamed(draft, twin))
    literal = {draft.text: draft for draft in list(kept)[: n_max - len(analogies)]}
    for analogy in analogies:
        same = literal.get(analogy.text, analogy)
        n_before = max(same.n_before, analogy.n_before)
        literal[analogy.text] = replace(same, n_before=n_before, n_shape=analogy.n_shape, n_changed=analogy.n_changed)
    return list(literal.values())


def _twin(hole: Hole) -> Twin | None:
    """What a twin of the function at the cursor suggests, if the hole reaches to the end of a line."""
    is_line_end = not hole.suffix.split("\n", 1)[0].strip()
    return find_twin(hole.prefix, hole.suffix, multiline=hole.multiline) if is_line_end else None


def _is_renamed(draft: Draft, twin: Twin) -> bool:
    """Whether a draft is the text of a sure twin with the twin's own names."""
    text, theirs, ours = (each.strip() for each in (draft.text, twin.theirs, twin.text))
    is_theirs = theirs.startswith(text) or text.startswith(theirs)
    is_ours = ours.startswith(text) or text.startswith(ours)
    return twin.n_tokens >= N_TOKENS_SURE and draft.source == "file" and is_theirs and not is_ours


def drafts_from_offers(drafts: Iterable[Draft]) -> tuple[Offer, ...]:
    """Drafts from other files as offers for the engine, without those that it finds by itself."""
    return tuple(
        Offer(text=draft.text, source=draft.source, n_before=draft.n_before, n_after=draft.n_after)
        for draft in drafts
        if draft.source == "open file" or draft.source == "workspace"
    )


def _analogies(hole: Hole, twin: Twin | None, n_max: int) -> list[Draft]:
    """At most n_max drafts by analogy, for holes that reach to the end of a line; what a twin suggests first."""
    if hole.suffix.split("\n", 1)[0].strip():
        return []
    found = [] if hole.multiline else find_analogies(hole.prefix, hole.suffix, n_max)
    drafts = [Draft(a.text.rstrip(), "file", 0, 0, a.n_tokens, a.n_changed) for a in found]
    if twin is not None:
        n_before = min(N_MATCH_MAX, TWIN_CHARS + round(TWIN_CHARS_TOKEN * twin.n_tokens))
        drafts.insert(0, Draft(twin.text, "file", n_before, 0, twin.n_tokens, twin.n_changed))
    return list({draft.text: draft for draft in reversed(drafts)}.values())[::-1][:n_max]


def _literal(hole: Hole, snippets: Sequence[str], n_max: int) -> list[Draft]:
    """At most n_max different texts that followed the same characters, the best match first."""
    found: list[Draft] = []
    for seed in SEEDS:
        wanted = hole.prefix[-seed:]
        if len(wanted) < seed or (seed == SEEDS[-1] and not wanted.strip()):
            continue
        found = best_of([*found, *_drafts_with(hole, snippets, wanted)])
        if len(found) >= n_max:
            break
    return found[:n_max]


def _fits(offer: Offer, hole: Hole) -> bool:
    """Whether an offer can fill a hole: it is not blank, and one line if one line is wanted."""
    return bool(offer.text.strip()) and (hole.multiline or "\n" not in offer.text)


def best_of(drafts: Iterable[Draft]) -> list[Draft]:
    """Each distinct text once, with its best match, the best first."""
    best: dict[str, Draft] = {}
    for draft in drafts:
        kept = best.get(draft.text)
        if kept is None or _rank(draft) > _rank(kept):
            best[draft.text] = draft
    return sorted(best.values(), key=_rank, reverse=True)


def _rank(draft: Draft) -> tuple[int, bool]:
    return draft.n_before + draft.n_after, draft.source == "file"


def _drafts_with(hole: Hole, snippets: Sequence[str], wanted: str) -> Iterator[Draft]:
    """Drafts at the places where wanted occurs, nearest places first."""
    searched: list[tuple[str, DraftSource, Iterator[int]]] = [
        (hole.prefix, "file", _places_before(hole.prefix, wanted, len(hole.prefix) - 1)),
        (hole.suffix, "file", _places_after(hole.suffix, wanted)),
        *((s, "snippet", _places_after(s, wanted)) for s in reversed(snippets)),
    ]
    for text, source, places in searched:
        yield from (draft for place in places if (draft := draft_at(hole, text, place, source)))


def draft_at(hole: Hole, text: str, place: int, source: DraftSource) -> Draft | None:
    """What follows place in text as a draft for the hole; None if it is blank or does not meet the text right of it.

    text and hole have LF as their only line break.
    """
    found = _continuation(hole, text, place)
    if found is None or not found.strip():
        return None
    end = place + len(found)
    n_before = _n_equal(text[max(0, place - N_MATCH_MAX) : place][::-1], hole.prefix[: -N_MATCH_MAX - 1 : -1])
    return Draft(found, source, n_before, _n_equal(text[end : end + N_AFTER_MAX], hole.suffix[:N_AFTER_MAX]))


def _places_before(text: str, wanted: str, end: int) -> Iterator[int]:
    """Offsets just after wanted in text, from end backwards."""
    for _ in range(N_PLACES_MAX):
        at = text.rfind(wanted, 0, end)
        if at < 0:
            return
        yield at + len(wanted)
        end = at + len(wanted) - 1


def _places_after(text: str, wanted: str) -> Iterator[int]:
    """Offsets just after wanted in text, from its start on."""
    at = -1
    for _ in range(N_PLACES_MAX):
        at = text.find(wanted, at + 1)
        if at < 0:
            return
        yield at + len(wanted)


def _n_equal(a: str, b: str) -> int:
    """The number of leading characters that two texts share."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    return low


def _continuation(hole: Hole, text: str, place: int) -> str | None:
    """What follows place, up to where the hole ends: at the text right of the hole, or at the line's or block's end."""
    right = hole.suffix.split("\n", 1)[0].rstrip()
    end = _line_end(text, place)
    if right:
        at = _bridge(text, place, min(end, place + N_CHARS_MAX), right, hole.multiline)
        return text[place:at] if at >= 0 else None
    if not hole.multiline:
        return text[place:end].rstrip() if end <= place + N_CHARS_MAX else None
    end = _block_end(text, place)
    if end > place + N_CHARS_MAX:
        return None
    below = next((line for line in hole.suffix[:N_BRIDGE_MAX].split("\n") if line.strip()), "")
    at = text.find("\n" + below, place, end) if below else -1
    return text[place : at if at >= 0 else end].rstrip()


def _bridge(text: str, place: int, line_end: int, right: str, multiline: bool) -> int:
    """Where the text right of the cursor occurs in text after place; -1 if it does not.

    If it is not found, fewer of its characters are tried: the cursor may be in a word that goes on differently there.
    Blanks at its beginning count, unless it is not found with them.
    """
    for wanted in dict.fromkeys((right, right.lstrip())):
        for i, size in enumerate(BRIDGE_KEYS):
            key = wanted[:size]
            at = text.find(key, place, place + N_BRIDGE_MAX if multiline and not i else line_end) if key.strip() else -1
            if at >= 0:
                return at
    return -1


def _line_end(text: str, start: int) -> int:
    """The end of the line that start is in; or some place too far away to matter."""
    far = start + N_CHARS_MAX + 1
    end = text.find("\n", start, far)
    return min(len(text), far) if end < 0 else end


def _block_end(text: str, start: int) -> int:
    """The end of the lines from start on that are indented no less than the first one that is not blank."""
    end, indent = start, None
    at = start
    for _ in range(N_LINES_MAX):
        stop = _line_end(text, at)
        line = text[at:stop]
        if line.strip():
            width = indent_of(text[text.rfind("\n", 0, at) + 1 : stop])
            indent = width if indent is None else indent
            if width < indent:
                break
            end = stop
        if stop == len(text):
            break
        at = stop + 1
    return end
