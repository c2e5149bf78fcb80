"""Whether a completion is wanted at all: one plain reason to stay silent, or none.

Owns the rules that need no model: binary, secret and oversized documents, data, messages to people, unknown languages,
and places where a person who only types wants to be left alone. It does not know settings files, editors or scores. No
reason quotes the document's text.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from urllib.parse import unquote

from .cursor_class import CursorClass, class_at
from .syntax.tree import Syntax
from .text.document import Document
from .text.line_scan import CLOSERS, is_word_character
from .typing_rhythm import Rhythm

MAX_DOCUMENT_CHARS = 5_000_000
MAX_LINE_CHARS = 10_000

SECRET_NAMES = (
    ".env*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.p8", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg",
    "*.asc", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials*", ".netrc", "_netrc", ".pgpass",
    ".htpasswd", ".npmrc", ".pypirc", ".git-credentials", "secrets.json", "secrets.toml", "secrets.y*ml", "*.tfvars",
    "*.tfstate",
)  # fmt: skip
SECRET_FOLDERS = frozenset({".ssh", ".gnupg", ".aws"})

# Files that tools write and nobody types: lock files, minified and generated code, tables, drawings.
DATA_NAMES = (
    "*.lock", "*.lockb", "*-lock.json", "*-lock.yaml", "npm-shrinkwrap.json", "go.sum", "*.min.js", "*.min.mjs",
    "*.min.css", "*.map", "*.csv", "*.tsv", "*.psv", "*.jsonl", "*.ndjson", "*.geojson", "*.svg", "*.eps", "*.log",
)  # fmt: skip
# Texts for people, in an editor's boxes (by the URI's scheme) or in files that a version control system opens.
MESSAGE_SCHEMES = frozenset({"vscode-scm", "comment", "output", "debug"})
MESSAGE_LANGUAGES = frozenset(
    {"scminput", "git-commit", "gitcommit", "git-rebase", "gitrebase", "hgcommit", "svn", "jj-commit", "jjdescription",
     "neogitcommitmessage", "mail", "gitsendemail"}
)  # fmt: skip
MESSAGE_NAMES = frozenset(
    {"commit_editmsg", "merge_msg", "squash_msg", "tag_editmsg", "notes_editmsg", "pullreq_editmsg", "edit_description",
     "git-rebase-todo", "addp-hunk-edit.diff", "svn-commit.tmp"}
)  # fmt: skip

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")  # C: is a drive
_SCHEME_OF_NAME = re.compile(_SCHEME.pattern + r"(?=[^/\\])")  # as in untitled:.env

_CLOSING_SIGNS = CLOSERS | frozenset("\"'`:;,")


@dataclass(frozen=True)
class CursorPlace:
    """A cursor in a document, and what is known around it."""

    document: Document
    offset: int
    line: int
    known_languages: Collection[str] | None
    syntax: Syntax | None
    rhythm: Rhythm | None

    @cached_property
    def left(self) -> str:
        """The cursor's line up to the cursor."""
        return self.document.text[self.document.line_start(self.line) : self.offset]

    @cached_property
    def right(self) -> str:
        """The cursor's line from the cursor on."""
        return self.document.text[self.offset : self.document.line_end(self.line)]

    @cached_property
    def cursor_class(self) -> CursorClass | None:
        """The class of the place; None without a tree."""
        return None if self.syntax is None else class_at(self.syntax, self.offset)


Rule = Callable[[CursorPlace], str | None]


def reason_for_silence(
    document: Document,
    offset: int,
    *,
    invoked: bool = False,
    known_languages: Collection[str] | None = None,
    syntax: Syntax | None = None,
    rhythm: Rhythm | None = None,
    off: Collection[str] = (),
) -> str | None:
    """A one-line reason to offer nothing at offset, or None when a completion is welcome.

    invoked: a person asked for it, so only the rules on the document as a whole hold (SAFETY_RULES). known_languages
    are those with automatic suggestions, None for all.
    syntax is the document's, rhythm that of its latest edits; a rule that needs one stays silent without it. off names
    the rules among GATING_RULES that do not count. Raises InputError outside the text.
    """
    place = CursorPlace(document, offset, document.line_of(offset), known_languages, syntax, rhythm)
    polite = () if invoked else tuple(rule for name, rule in GATING_RULES if name not in off)
    reasons = (rule(place) for rule in SAFETY_RULES + polite)
    return next((reason for reason in reasons if reason is not None), None)


def is_secret(uri: str) -> bool:
    """Whether a document's URI (or path) names a file that tends to hold secrets; nothing is read from disk."""
    return any(_names_secret(unquote(name)) for name in (uri, uri.partition("#")[0].partition("?")[0]))


def _names_secret(path: str) -> bool:
    *folders, name = _SCHEME_OF_NAME.sub("", path).replace("\\", "/").lower().split("/")
    return any(fnmatchcase(name, pattern) for pattern in SECRET_NAMES) or not SECRET_FOLDERS.isdisjoint(folders)


def is_data(uri: str) -> bool:
    """Whether a document's URI (or path) names a file that a tool writes: a lock file, a table, minified code."""
    name = _name_of(uri)
    return any(fnmatchcase(name, pattern) for pattern in DATA_NAMES)


def is_message(uri: str, language: str) -> bool:
    """Whether a document is a text for people: a commit message, a comment box, the input of a chat."""
    found = _SCHEME.match(uri)
    scheme = "" if found is None else found.group()[:-1].lower()
    is_box = scheme in MESSAGE_SCHEMES or "chat" in scheme
    return is_box or language.lower() in MESSAGE_LANGUAGES or _name_of(uri) in MESSAGE_NAMES


def _name_of(uri: str) -> str:
    path = unquote(uri.partition("#")[0].partition("?")[0])
    return path.replace("\\", "/").rpartition("/")[2].lower()


def _secret(place: CursorPlace) -> str | None:
    return "the file looks like one that holds secrets" if is_secret(place.document.uri) else None


def _message(place: CursorPlace) -> str | None:
    is_one = is_message(place.document.uri, place.document.language)
    return "the document is a message to people, and only code is completed" if is_one else None


def _data(place: CursorPlace) -> str | None:
    is_one = is_data(place.document.uri)
    return "the file holds data or generated text: a lock file, a table, minified code" if is_one else None


def _long_document(place: CursorPlace) -> str | None:
    too_long = len(place.document.text) > MAX_DOCUMENT_CHARS
    return f"the document is longer than {MAX_DOCUMENT_CHARS:,} characters" if too_long else None


def _binary(place: CursorPlace) -> str | None:
    return "the document is binary: it holds NUL characters" if "\0" in place.document.text else None


def _long_line(place: CursorPlace) -> str | None:
    too_long = place.document.line_end(place.line) - place.document.line_start(place.line) > MAX_LINE_CHARS
    return f"the line is longer than {MAX_LINE_CHARS:,} characters" if too_long else None


def _language(place: CursorPlace) -> str | None:
    language, known = place.document.language, place.known_languages
    return None if known is None or language in known else f"the model does not know the language {language!r}"


def _word_right(place: CursorPlace) -> str | None:
    """What is typed there changes a word that stands already."""
    return "the cursor is in front of a word character" if is_word_character(place.right[:1]) else None


def _indentation(place: CursorPlace) -> str | None:
    """What is typed there moves a line. A line of closing brackets alone is no line to move: an item may come."""
    right = place.right.strip()
    is_inside = bool(right) and not place.left.strip() and not set(right) <= _CLOSING_SIGNS
    return "the cursor stands in the indentation of a line" if is_inside else None


def _deletions(place: CursorPlace) -> str | None:
    """Whoever takes text away does not want it back."""
    in_burst = place.rhythm is not None and place.rhythm.in_deletion_burst
    return "text is being deleted" if in_burst else None


def _prose(place: CursorPlace) -> str | None:
    """Sentences are what a small model of code is worst at, and what a reader is disturbed by most."""
    in_prose = place.cursor_class in ("comment", "docstring")
    return f"the cursor stands in a {place.cursor_class}" if in_prose else None


SAFETY_RULES: tuple[Rule, ...] = (_secret, _message, _data, _long_document, _binary, _long_line)
GATING_RULES: tuple[tuple[str, Rule], ...] = (
    ("language", _language),
    ("word-right", _word_right),
    ("indentation", _indentation),
    ("deletions", _deletions),
    ("prose", _prose),
)
