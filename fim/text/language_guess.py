"""Guesses the language of a text whose language nobody said: by its path, by what its first lines say, or by the shapes
of its lines."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from .language_ids import CODE_SUFFIXES, TEXT_SUFFIXES, language_id
from .language_shapes import FAMILIES, count_points, family_of, member_of

KNOWN = frozenset({*CODE_SUFFIXES.values(), *TEXT_SUFFIXES.values()})
N_HEAD_LINES = 5  # where a shebang, a path or the language may be told
N_LINES_BEFORE, N_LINES_AFTER = 120, 60  # of the text around the cursor that are compared
N_LINE_CHARS = 160
# Points (language_shapes.py) for a guess: at least so many, for each line, and times the next family's.
MIN_POINTS, MIN_SHARE, MIN_RATIO = 3, 0.2, 1.2
N_NAME_POINTS = 6  # for the language of most of the other files that a request shows

_FILE_NAMES = {"gemfile": "ruby", "rakefile": "ruby", ".bashrc": "shellscript", ".profile": "shellscript"}
_COMMENT = re.compile(r"\s{0,8}(?:#|//|--|/\*|<!--|%|;)+\s{0,8}(.{1,300})")
_TOLD = re.compile(r"(?:language|lang|filetype|ft|mode)\s{0,4}[:=]\s{0,4}([\w+#.-]{1,30})", re.IGNORECASE)
_PATH_TOLD = re.compile(
    r"(?:(?:path|file|filename|filepath)\s{0,4}:\s{0,4})?([^\s:*?\"<>|]{1,200}\.\w{1,8})", re.IGNORECASE
)
_INTERPRETER = re.compile(r"#!.{0,80}?\b(python|node|deno|bun|bash|zsh|ksh|dash|sh|ruby|php|ts-node|kotlin)[\d.]*\b")
_INTERPRETERS = {
    "python": "python", "node": "javascript", "ruby": "ruby", "php": "php", "deno": "typescript", "bun": "typescript",
    "ts-node": "typescript", "kotlin": "kotlin",
}  # fmt: skip


def language_of_path(path: str) -> str | None:
    """The LSP language id for a file's name; None for one that is not known."""
    name = PurePosixPath(path.replace("\\", "/").strip()).name.lower()
    suffix = PurePosixPath(name).suffix
    return CODE_SUFFIXES.get(suffix) or TEXT_SUFFIXES.get(suffix) or _FILE_NAMES.get(name)


def guess_language(prefix: str, suffix: str = "", *, path: str = "", names: Iterable[str] = ()) -> str | None:
    """The LSP language id of the text around a cursor; None if nothing is sure enough.

    path is that of its file ("" if unknown); names are those of other files beside it.
    """
    return language_of_path(path) or _told(prefix) or _by_lines(_lines_around(prefix, suffix), names)


def _told(text: str) -> str | None:
    """The language that the first lines tell: by a shebang, PHP's opening, or a comment with a path or a name."""
    for number, line in enumerate(text[: N_HEAD_LINES * N_LINE_CHARS].splitlines()[:N_HEAD_LINES]):
        if number == 0:
            found = _INTERPRETER.match(line)
            if found is not None:
                return _INTERPRETERS.get(found[1], "shellscript")
        if line.startswith("<?php"):
            return "php"
        comment = _COMMENT.match(line)
        if comment is None:
            continue
        said = comment[1].removesuffix("-->").removesuffix("*/").strip()
        language = _TOLD.match(said.lstrip("-* "))
        if language is not None and (named := language_id(language[1])) in KNOWN:
            return named
        place = _PATH_TOLD.fullmatch(said)
        if place is not None and (named := language_of_path(place[1])) is not None:
            return named
    return None


def _lines_around(prefix: str, suffix: str) -> list[str]:
    """The lines around the cursor that are compared, without blanks around them; not the cursor's own."""
    n_chars = N_LINE_CHARS * N_LINES_BEFORE
    before = (prefix[-n_chars:] + "-").splitlines()[-N_LINES_BEFORE - 1 : -1]
    after = suffix[: n_chars // 2].splitlines()[1 : N_LINES_AFTER + 1]
    return [line for each in (*before, *after) if (line := each.strip()[:N_LINE_CHARS])]


def _by_lines(lines: Sequence[str], names: Iterable[str]) -> str | None:
    points = Counter({family: count_points(lines, family) for family in FAMILIES})
    named = Counter(language for name in names if (language := language_of_path(name)) is not None)
    beside = named.most_common(1)[0][0] if named else None
    if beside is not None:
        points[family_of(beside)] += N_NAME_POINTS
    (family, best), (_, second) = points.most_common(2)
    if best < max(MIN_POINTS, MIN_SHARE * len(lines)) or best < MIN_RATIO * second:
        return None
    return beside if beside is not None and family_of(beside) == family else member_of(family, lines)
