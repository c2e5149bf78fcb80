"""Which files of packages in many languages may teach a body, judged one at a time, with the reason for a refusal.

Coarser than `filters`, which is for Python. A file's suffix tells its language.
"""

import re
from pathlib import PurePosixPath

from .filters import N_LINE_CHARS_MAX, SKIPPED_FOLDERS, is_generated

LANGUAGES = {
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".tsx": "typescript", ".go": "go", ".rs": "rust", ".java": "java",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp",
    ".php": "php", ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".cs": "csharp", ".rb": "ruby", ".kt": "kotlin",
    ".sql": "sql", ".html": "html", ".css": "css", ".scss": "css", ".json": "json", ".yaml": "yaml", ".yml": "yaml",
    ".md": "markdown",
}  # fmt: skip
BUILT = frozenset({"dist", "build", "umd", "cjs", "esm", "esm5", "es5", "es2015", "fesm2015", "bundle", "bundles"})
BUILT |= {"min", "node_modules", "locale", "locales", "i18n", "deps", "fixtures", "snapshots", "__snapshots__", "docs"}
_GENERATED_NAME = re.compile(
    r"(?i).*(\.min\.|\.d\.ts$|\.d\.mts$|-lock\.|\.lock$|\.bundle\.|\.umd\.|\.pb\.|_pb\.|\.generated\.|\.map$).*"
)
_NO_PROSE = re.compile(r"(?i)(licen[cs]e|copying|change(s|log)|history|authors|contributors|notice|thirdparty).*")
N_CHARS_MIN, N_CHARS_MAX = 200, 100_000
N_DATA_CHARS_MAX = 10_000  # JSON and YAML: longer ones are tables
N_LINE_CHARS_MEAN_MAX = 120
ASCII_MIN = 0.9
_SHELL = re.compile(rb"#!\s*\S*(/|env )(ba|z|da)?sh\b")


def language_of(path: str, raw: bytes) -> str | None:
    """The language of a file; None for one that does not belong to the corpus."""
    suffix = PurePosixPath(path).suffix.lower()
    if not suffix and _SHELL.match(raw[:80]):
        return "shell"
    return LANGUAGES.get(suffix)


def reason_to_drop(path: str, raw: bytes) -> str | None:
    """Why a file does not enter the corpus, or None. path lies inside its package."""
    place = PurePosixPath(path)
    language = language_of(path, raw)
    if language is None:
        return "another kind of file"
    folders = {part.lower() for part in place.parts[:-1]}
    if folders & SKIPPED_FOLDERS:
        return "vendored"
    if folders & BUILT or _GENERATED_NAME.fullmatch(place.name):
        return "built or generated"
    if _NO_PROSE.fullmatch(place.name):
        return "licence or list of changes"
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "not UTF-8"
    return _reason_in_text(text, language)


def _reason_in_text(text: str, language: str) -> str | None:
    most = N_DATA_CHARS_MAX if language in ("json", "yaml") else N_CHARS_MAX
    if not N_CHARS_MIN <= len(text) <= most:
        return "too short" if len(text) < N_CHARS_MIN else "too long"
    if "\0" in text or sum(map(str.isascii, text)) < ASCII_MIN * len(text):
        return "data table"
    lines = text.split("\n")
    if max(map(len, lines)) > N_LINE_CHARS_MAX or len(text) / len(lines) > N_LINE_CHARS_MEAN_MAX:
        return "long lines (minified or data)"
    return "generated" if is_generated(text) else None
