"""Analogies: how lines of the same shape went on, with this line's names in place of theirs.

Below ``self.width = width`` the line ``self.height = `` may go on with ``height``: the tokens agree except ``width``,
which became ``height``, so it becomes ``height`` in the rest too. Parts of names count: after ``get_width`` became
``get_height``, ``max_width`` becomes ``max_height``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

N_LINES_ABOVE, N_LINES_BELOW = 400, 100
N_CHARS_LINE = 400  # longer lines are not compared
EQUAL_SIGN, CHANGED_NAME, FAR_LINE = 0.3, -0.5, -0.002  # compared with 1 for a name that is the same in both lines

_TOKEN = re.compile(r"\w+|\s+|.")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(frozen=True)
class Analogy:
    """A text for the rest of the cursor's line: how many tokens left of it agree, how many names were replaced."""

    text: str
    n_tokens: int
    n_changed: int
    score: float


@dataclass
class Names:
    """What another line's names, and parts of names, are called here."""

    ours: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)

    def learn(self, theirs: str, ours: str) -> bool:
        """Note that a name became another; False if it became something else before."""
        if self.ours.setdefault(theirs, ours) != ours:
            return False
        pairs = list(zip(_PART.findall(theirs), _PART.findall(ours), strict=False))
        different = [(a, b) for a, b in pairs if a != b]
        if len(_PART.findall(theirs)) == len(_PART.findall(ours)) and len(different) == 1:
            self.parts.setdefault(*different[0])
        return True

    def translate(self, tokens: Iterable[str]) -> str:
        """Tokens of the other line with this line's names."""
        return "".join(
            self.ours.get(t) or (_PART.sub(lambda m: self.parts.get(m.group(), m.group()), t) if self.parts else t)
            for t in tokens
        )


def find_analogies(prefix: str, suffix: str, n_max: int) -> list[Analogy]:
    """At most n_max different texts for the rest of the line, the best first; [] on a blank line."""
    above, _, left = prefix.rpartition("\n")
    head = tokens_of(left)
    if not head or len(left) > N_CHARS_LINE:
        return []
    if left[-1].isspace():
        head.append(" ")
    best: dict[str, Analogy] = {}
    for distance, line in enumerate(_lines(above, suffix)):
        found = continue_line(head, tokens_of(line), distance) if len(line) <= N_CHARS_LINE else None
        if found is not None and (found.text not in best or found.score > best[found.text].score):
            best[found.text] = found
    return sorted(best.values(), key=lambda a: -a.score)[:n_max]


def _lines(above: str, suffix: str) -> Iterator[str]:
    """The lines above, nearest first, then those below the cursor's."""
    yield from reversed(above[-N_LINES_ABOVE * N_CHARS_LINE :].split("\n")[-N_LINES_ABOVE:])
    yield from suffix[: N_LINES_BELOW * N_CHARS_LINE].split("\n")[1 : N_LINES_BELOW + 1]


def tokens_of(line: str) -> list[str]:
    """Words, blanks and single signs of a line, without its indentation and the blanks at its end."""
    return _TOKEN.findall(line.strip())


def continue_line(
    head: Sequence[str], theirs: Sequence[str], distance: int = 0, names: Names | None = None
) -> Analogy | None:
    """The rest of a line with the tokens head, by analogy with another line's tokens; None if the shapes differ.

    The last token of head may be the beginning of a word. names holds known names and learns more.
    """
    is_partial = is_word(head[-1])
    n = len(head) - is_partial
    if len(theirs) <= n:
        return None
    names, score = names or Names(), FAR_LINE * distance
    for a, b in zip(theirs, head[:n], strict=False):
        if a == b or (a.isspace() and b.isspace()):
            score += 1.0 if is_word(a) else EQUAL_SIGN
        elif not (is_word(a) and is_word(b) and names.learn(a, b)):
            return None
    if is_partial:
        first, gain = _word_rest(names, theirs[n], head[-1])
        if first is None:
            return None
        text, score = first + names.translate(theirs[n + 1 :]), score + gain
    else:
        text = names.translate(theirs[n:])
    n_changed = sum(a != b for a, b in names.ours.items())
    return Analogy(text, n, n_changed, score + CHANGED_NAME * n_changed) if text.strip() else None


def _word_rest(names: Names, theirs: str, begun: str) -> tuple[str | None, float]:
    """What completes a begun word where the other line has theirs, and its score; None if nothing does."""
    if not is_word(theirs):
        return None, 0.0
    for word in (names.translate([theirs]), theirs):
        if word.startswith(begun):
            return word[len(begun) :], len(begun) / 6
    return ("", -1.0) if names.learn(theirs, begun) else (None, 0.0)


def is_word(token: str) -> bool:
    """Whether a token is a name or a number."""
    return token[0].isalnum() or token[0] == "_"
