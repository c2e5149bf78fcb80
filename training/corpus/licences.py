"""Which licences let a package into the corpus: an allow-list, read from the package's own metadata.

Owns the list and the reading of SPDX expressions. Anything unknown, missing or ambiguous is refused.
"""

import re
from collections.abc import Iterator
from email.message import Message

# SPDX identifiers, in lower case: licences that ask for attribution at most.
PERMISSIVE = frozenset(
    {"0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc0-1.0", "cnri-python", "hpnd", "isc", "mit"}
    | {"mit-0", "mit-cmu", "ncsa", "psf-2.0", "python-2.0", "python-2.0.1", "unlicense", "x11", "zlib"}
)
# Exceptions that only add permissions to the licence before WITH.
EXCEPTIONS = frozenset({"llvm-exception"})

# How the older fields, which are free text, spell the same licences.
_FREE_TEXT = re.compile(
    r"(the )?(?:"
    r"mit(-0|-cmu|/x11| no attribution)?( license)?( \(mit(-0)?\))?|expat( license)?"
    r"|(new |modified |simplified |revised |[23]-clause )?bsd([ -][23]([ -]clause)?)?( license)?( \([23][- ]clause\))?"
    r"|bsd-[23]-clause( license)?|0bsd"
    r"|apache( software)?( license)?,?[ -]?(version |v)?(2(\.0)?)?( license)?( \(apache 2\.0\))?"
    r"|isc( license)?( \(iscl\))?|python software foundation( license)?|psf(-2\.0| license)?"
    r"|(the )?unlicense( \(unlicense\))?|zlib(/libpng)?( license)?|cc0(-1\.0| 1\.0 universal.*)?"
    r"|historical permission notice and disclaimer( \(hpnd\))?|hpnd|boost software license 1\.0( \(bsl-1\.0\))?"
    r")",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r" and | ?/ ?(?!x11|libpng)|,(?! ?version) ?", re.IGNORECASE)
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def licence_of(metadata: Message) -> str | None:
    """The licence if it is permissive, else None. Read from License-Expression, else classifiers, else License."""
    expression = metadata.get("License-Expression")
    if expression:
        return expression if is_permissive(expression) else None
    classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    # "License :: OSI Approved" alone names no licence, and is no licence against the ones beside it.
    named = [c.split("::")[-1].strip() for c in classifiers if c.strip() != "License :: OSI Approved"]
    if named:
        return " AND ".join(named) if all(map(_FREE_TEXT.fullmatch, named)) else None
    lines = (metadata.get("License") or "").strip().splitlines()
    first = " ".join(lines[0].split()) if lines else ""
    if not first:
        return None
    if is_permissive(first):
        return first
    parts = _SEPARATOR.split(first)
    return first if all(_FREE_TEXT.fullmatch(part.strip()) for part in parts) else None


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression lets us choose permissive licences only; False for what is not well formed."""
    tokens = _TOKEN.findall(expression)
    if not tokens:
        return False
    words = iter([*tokens, ""])
    try:
        allowed, rest = _alternatives(next(words), words)
    except (ValueError, StopIteration, RecursionError):
        return False
    return allowed and rest == ""


def _alternatives(word: str, words: Iterator[str]) -> tuple[bool, str]:
    """A OR B OR …: whether one is allowed, and the word that stands behind it."""
    allowed, word = _conjunction(word, words)
    while word.upper() == "OR":
        other, word = _conjunction(next(words), words)
        allowed = allowed or other
    return allowed, word


def _conjunction(word: str, words: Iterator[str]) -> tuple[bool, str]:
    """A AND B AND …: whether all are allowed, and the word that stands behind it."""
    allowed, word = _licence(word, words)
    while word.upper() == "AND":
        other, word = _licence(next(words), words)
        allowed = allowed and other
    return allowed, word


def _licence(word: str, words: Iterator[str]) -> tuple[bool, str]:
    """One identifier, with its exception if it has one, or an expression in parentheses."""
    if word == "(":
        allowed, word = _alternatives(next(words), words)
        if word != ")":
            raise ValueError("a parenthesis is not closed")
        return allowed, next(words)
    if word in ("", ")") or word.upper() in ("AND", "OR", "WITH"):
        raise ValueError("an identifier is missing")
    allowed = word.lower() in PERMISSIVE
    word = next(words)
    if word.upper() == "WITH":
        allowed = allowed and next(words).lower() in EXCEPTIONS
        word = next(words)
    return allowed, word
