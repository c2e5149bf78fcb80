"""The holes of the evaluation: where a file is cut, and what stood there.

Packages take turns, so each gives equally many holes; a file is drawn evenly among those of its package. Then:

* rest-of-line: the cursor stands at a random character (not indentation, not trailing blanks) of a random line that is
  not blank; the rest of the line is taken out.
* whole-line: the cursor stands at the indentation of a random line that is not blank; the line is taken out.
* random-span, after HumanEval-Infilling's: the start is drawn evenly among all characters but white space, comments
  and strings included; the length is log-uniform from 1 to 120 characters, so that it may end inside a later line.
* multi-line: 2 to 6 lines, evenly, the first and the last not blank; the cursor stands at the first line's indentation
  or, as often, at a random character of it.
* block: the body of a def, class, if, for, while or with, of 2 to 12 lines, drawn evenly among those of the file; the
  cursor stands at the indentation of the first statement, below any docstring.

Rest-of-line holes may repeat (they are drawn as in the first published numbers), others never do.
"""

import hashlib
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ...fim.errors import InputError
from ...training.corpus.corpus import CorpusDocument
from .syntax import block_bodies

Kind = Literal["rest-of-line", "whole-line", "random-span", "multi-line", "block"]
CutText = Callable[[random.Random, str], tuple[int, int] | None]
"""(generator, text) → a hole (start, end) in code points, or None when the draw hit no hole of this kind."""

N_SPAN_CHARS_MAX = 120
N_LINES_MIN, N_LINES_MAX = 2, 6
N_BLOCK_LINES_MIN, N_BLOCK_LINES_MAX = 2, 12
N_MISSES_MAX = 1000  # draws in a row without a new hole after which a package is taken to hold no more


@dataclass(frozen=True)
class Task:
    """One hole: where it was cut and what stood there."""

    package: str
    path: str
    prefix: str
    suffix: str
    truth: str
    kind: Kind = "rest-of-line"
    language: str = "python"

    @property
    def multiline(self) -> bool:
        """Whether decoders may answer with several lines: a matter of the kind, never of this hole's truth."""
        return self.kind not in ("rest-of-line", "whole-line")

    def key(self) -> str:
        """Names this hole by its content, for answers kept on disk."""
        parts = (self.kind, self.package, self.path, self.prefix, self.truth, self.suffix)
        parts += () if self.language == "python" else (self.language,)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()[:20]


def _some_line(rng: random.Random, text: str) -> tuple[int, str] | None:
    """The offset and text of a random line; None if it is blank."""
    lines = text.split("\n")
    number = rng.randrange(len(lines))
    return (_offset(lines, number), lines[number]) if lines[number].strip() else None


def rest_of_line(rng: random.Random, text: str) -> tuple[int, int] | None:
    """From a random character of a random line to the line's end."""
    found = _some_line(rng, text)
    if found is None:
        return None
    start, line = found
    column = rng.randrange(len(line) - len(line.lstrip()), len(line.rstrip()))
    return start + column, start + len(line)


def whole_line(rng: random.Random, text: str) -> tuple[int, int] | None:
    """From a random line's indentation to its end."""
    found = _some_line(rng, text)
    if found is None:
        return None
    start, line = found
    return start + len(line) - len(line.lstrip()), start + len(line)


def random_span(rng: random.Random, text: str) -> tuple[int, int] | None:
    """A log-uniform number of characters from a random one that is not white space."""
    start = rng.randrange(len(text))
    n_chars = int(math.exp(rng.uniform(0.0, math.log(N_SPAN_CHARS_MAX + 1))))
    return None if text[start].isspace() else (start, min(start + n_chars, len(text)))


def several_lines(rng: random.Random, text: str) -> tuple[int, int] | None:
    """From a line's indentation, or from inside it, to the end of one of the next lines."""
    lines = text.split("\n")
    n_lines = rng.randint(N_LINES_MIN, N_LINES_MAX)
    number = rng.randrange(len(lines))
    last = number + n_lines - 1
    if last >= len(lines) or not lines[number].strip() or not lines[last].strip():
        return None
    line = lines[number]
    indent = len(line) - len(line.lstrip())
    column = indent if rng.random() < 0.5 else rng.randrange(indent, len(line.rstrip()))
    return _offset(lines, number) + column, _offset(lines, last) + len(lines[last])


def block(rng: random.Random, text: str) -> tuple[int, int] | None:
    """A random block's body."""
    bodies = block_bodies(text, N_BLOCK_LINES_MIN, N_BLOCK_LINES_MAX)
    return rng.choice(bodies) if bodies else None


CUTS: Mapping[Kind, CutText] = {
    "rest-of-line": rest_of_line,
    "whole-line": whole_line,
    "random-span": random_span,
    "multi-line": several_lines,
    "block": block,
}
KINDS = tuple(CUTS)


def draw(documents: Iterable[CorpusDocument], kind: Kind, n: int, seed: int) -> list[Task]:
    """n holes of one kind, spread evenly over packages; the first ones of a larger n are the same.

    Raises InputError for n < 1, without documents, and where they hold fewer than n different holes.
    """
    if n < 1:
        raise InputError(f"at least 1 hole must be asked for, not {n}")
    may_repeat = kind == "rest-of-line"
    rng = random.Random(seed) if may_repeat else random.Random(f"{kind} {seed}")
    packages: dict[str, list[CorpusDocument]] = {}
    for document in documents:
        packages.setdefault(document.package, []).append(document)
    names = sorted(packages)
    if not names:
        raise InputError("the corpus split has no documents to cut holes in: build the corpus again")
    tasks: list[Task] = []
    seen: set[tuple[str, str, int, int]] = set()
    misses = Counter[str]()
    while len(tasks) < n:
        name = names[len(tasks) % len(names)]
        document = rng.choice(packages[name])
        span = CUTS[kind](rng, document.text) if document.text else None
        if span is None or (not may_repeat and (name, document.path, *span) in seen):
            misses[name] += 1
            if misses[name] == N_MISSES_MAX:
                names.remove(name)
            if not names:
                raise InputError(f"the documents hold only {len(tasks)} {kind} holes, not {n}: lower --holes")
            continue
        misses[name] = 0
        seen.add((name, document.path, *span))
        tasks.append(_task(document, kind, *span))
    return tasks


def _task(document: CorpusDocument, kind: Kind, start: int, end: int) -> Task:
    text = document.text
    return Task(document.package, document.path, text[:start], text[end:], text[start:end], kind)


def _offset(lines: list[str], number: int) -> int:
    """Where a line starts."""
    return sum(len(earlier) + 1 for earlier in lines[:number])
