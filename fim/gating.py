"""Whether a completion is wanted at all: one plain reason to stay silent, or none.

Owns the rules that need no model: binary, secret and oversized documents, unknown languages, a cursor inside a word.
It does not know settings files, editors or scores. No reason quotes the document's text.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase
from urllib.parse import unquote

from .document import Document
from .line_scan import is_word_character

MAX_DOCUMENT_CHARS = 5_000_000
MAX_LINE_CHARS = 10_000
KNOWN_LANGUAGES: Collection[str] = frozenset({"python"})

SECRET_NAMES = (
    ".env*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.p8", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg",
    "*.asc", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials*", ".netrc", "_netrc", ".pgpass",
    ".htpasswd", ".npmrc", ".pypirc", ".git-credentials", "secrets.json", "secrets.toml", "secrets.y*ml", "*.tfvars",
    "*.tfstate",
)  # fmt: skip
SECRET_FOLDERS = frozenset({".ssh", ".gnupg", ".aws"})


def why_not(
    document: Document,
    offset: int,
    *,
    invoked: bool = False,
    known_languages: Collection[str] = KNOWN_LANGUAGES,
) -> str | None:
    """A one-line reason to offer nothing at offset, or None when a completion is welcome.

    invoked: a person asked for it, so a cursor inside a word and an unknown language are no reasons; the rules on
    secret, binary and oversized documents hold all the same. Raises InputError outside the text.
    """
    line = document.line_of(offset)
    if is_secret(document.uri):
        return "the file looks like one that holds secrets"
    if len(document.text) > MAX_DOCUMENT_CHARS:
        return f"the document is longer than {MAX_DOCUMENT_CHARS:,} characters"
    if "\0" in document.text:
        return "the document is binary: it holds NUL characters"
    if document.line_end(line) - document.line_start(line) > MAX_LINE_CHARS:
        return f"the line is longer than {MAX_LINE_CHARS:,} characters"
    if invoked:
        return None
    if document.language not in known_languages:
        return f"the model does not know the language {document.language!r}"
    if is_word_character(document.text[offset : offset + 1]):
        return "the cursor is in front of a word character"
    return None


def is_secret(uri: str) -> bool:
    """Whether a document's URI (or path) names a file that tends to hold secrets; nothing is read from disk."""
    return any(_names_secret(unquote(name)) for name in (uri, uri.partition("#")[0].partition("?")[0]))


def _names_secret(path: str) -> bool:
    *folders, name = path.replace("\\", "/").lower().split("/")
    return any(fnmatchcase(name, pattern) for pattern in SECRET_NAMES) or not SECRET_FOLDERS.isdisjoint(folders)
