"""The person of a replay: when the next key comes, when ghost text is noticed, and how much of it is accepted.

Owns times and decisions, all drawn from a seed and the place in the text, so that every variant of the product meets
the same person. Knows no server. Times are milliseconds.

Keys come at log-normal intervals with a median of 150 ms, later at the beginning of a word and much later at that of a
line. The eager reader notices ghost text a third of a second after it came up, later if it is long, and takes whatever
saves keys; flicker costs nothing. The patient reader needs 300 ms and the time to read, takes only whole words that are
right to the end, and loses time whenever a text appears and is gone again at once.
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

from .blocks import TypedBlock

Policy = Literal["strict", "words", "fix"]
ReadingHabit = Literal["eager", "patient"]
POLICIES: tuple[Policy, ...] = ("strict", "words", "fix")
READERS: tuple[ReadingHabit, ...] = ("eager", "patient")

KEY_MS, KEY_SPREAD = 150.0, 0.45
WORD_MS, WORD_SPREAD, WORD_SHARE = 120.0, 0.8, 0.5  # a pause before every other word
LINE_MS, LINE_SPREAD = 800.0, 0.7
NOTICE_MS, NOTICE_SPREAD = 330.0, 0.35
READ_MS_CHAR, READ_MS_MAX = 6.0, 400.0
ACCEPT_MS = 180.0  # of each key that accepts
PATIENT_NOTICE_MS = 300.0
FLICKER_MS = 150.0  # a text that is gone sooner, and was not typed, is a flicker
DISTURBED_MS = 100.0  # that a flicker takes from a patient reader: a guess; the count stands beside it
N_PRESSES_SAVED_MIN = 2  # what saves less is not worth a look at the Tab key


@dataclass(frozen=True)
class Decision:
    """What is done with a text on offer: take n_chars of the target, with n_presses, deleting n_wrong characters."""

    n_chars: int
    n_presses: int
    n_wrong: int = 0


class Typist:
    """One person: seed, how completions are accepted, and how they are read.

    strict: only what is right to its last character, with one key. words: also lines and words of it, with a key each,
    as long as they are right. fix: also all of it, deleting by words what is wrong at its end, where that takes fewer
    keys.
    """

    def __init__(self, seed: int, policy: Policy, reader: ReadingHabit = "eager") -> None:
        self.seed, self.policy, self.reader = seed, policy, reader

    @property
    def disturbed_ms(self) -> float:
        """What a flicker costs this person."""
        return DISTURBED_MS if self.reader == "patient" else 0.0

    def pause_ms(self, block: TypedBlock, at: int) -> float:
        """The time before the key that writes target[at] is pressed, after the key before it."""
        chance = random.Random(f"{self.seed}:{block.name}:{at}:key")
        pause = _lognormal(chance, KEY_MS, KEY_SPREAD)
        text = block.target
        before = text[at - 1] if at else "\n"
        if at == 0 or before == "\n" or (before in " \t" and not text[:at].rsplit("\n", 1)[-1].strip()):
            return pause + _lognormal(chance, LINE_MS, LINE_SPREAD)
        begins_word = text[at].isalnum() and not (before.isalnum() or before == "_")
        if begins_word and chance.random() < WORD_SHARE:
            pause += _lognormal(chance, WORD_MS, WORD_SPREAD)
        return pause

    def notice_ms(self, block: TypedBlock, at: int, text: str) -> float:
        """How long text must be visible, from target[at] on, before it is noticed and read."""
        chance = random.Random(f"{self.seed}:{block.name}:{at}:notice")
        if self.reader == "patient":
            return PATIENT_NOTICE_MS + min(READ_MS_MAX, READ_MS_CHAR * len(text))
        return _lognormal(chance, NOTICE_MS, NOTICE_SPREAD) + min(READ_MS_MAX, READ_MS_CHAR * len(text))

    def decide(self, block: TypedBlock, at: int, text: str) -> Decision | None:
        """What is done with text, on offer at target[at]; None: type on."""
        rest = block.target[at:]
        n_right = n_equal(text, rest)
        if self.reader == "patient":
            return self._whole_words(block, at, text, n_right)
        options = [Decision(n_right, 1)] if n_right == len(text) else []
        if self.policy in ("words", "fix"):
            options += _in_parts(text, n_right)
        if self.policy == "fix" and 0 < n_right < len(text):
            wrong = text[n_right:]
            options.append(Decision(n_right, 1 + len(wrong.split()), len(wrong)))
        kept = [(self._saved(block, at, option), option) for option in options]
        saved, best = max(kept, key=lambda pair: pair[0], default=(0, None))
        return best if saved >= N_PRESSES_SAVED_MIN else None

    def _whole_words(self, block: TypedBlock, at: int, text: str, n_right: int) -> Decision | None:
        """All of a text that is right to its end and ends where a word of the target does."""
        decision = Decision(n_right, 1)
        cuts_word = _is_word(text[-1:]) and _is_word(block.target[at + n_right : at + n_right + 1])
        if n_right < len(text) or cuts_word or self._saved(block, at, decision) < N_PRESSES_SAVED_MIN:
            return None
        return decision

    def _saved(self, block: TypedBlock, at: int, decision: Decision) -> int:
        return block.n_presses(at, at + decision.n_chars) - decision.n_presses


def n_equal(text: str, truth: str) -> int:
    """How many characters at the beginning of text are right."""
    return next((i for i, (a, b) in enumerate(zip(text, truth, strict=False)) if a != b), min(len(text), len(truth)))


def _in_parts(text: str, n_right: int) -> list[Decision]:
    """Whole lines of what is right with a key each, then words with a key each, as editors offer it."""
    right = text[:n_right]
    n_lines = right.count("\n")
    at = right.rfind("\n") + 1 if n_lines else 0
    options = [Decision(at, n_lines)] if n_lines else []
    n_words, inside = 0, False
    for i in range(at, n_right + 1):
        is_word = _is_word(text[i : i + 1])
        ends = inside and not is_word
        if ends or (i == n_right and not is_word and i > at):
            n_words += 1
            options.append(Decision(i, n_lines + n_words))
        inside = is_word
    return options


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _lognormal(chance: random.Random, median: float, spread: float) -> float:
    return median * math.exp(spread * chance.gauss(0.0, 1.0))
