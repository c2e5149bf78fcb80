"""Makes untrusted text safe to print: a terminal or a log shows it and never acts on it."""

import logging
import unicodedata
from typing import Any, ClassVar

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""The text with every control, format (bidi, zero-width), surrogate and separator character as an escape.

    ESC becomes `\x1b`, U+202E becomes `\u202e`. With keep_newlines, `\n` and `\t` stay. Other characters, spaces
    included, are unchanged; a backslash stays one backslash, so the result is for reading, not for parsing.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if keep_newlines else ""
    return "".join(char if char in kept or not _is_unsafe(char) else _escape(char) for char in text)


def one_line(message: str) -> str:
    """The message in one printable line: runs of white space become one space."""
    return printable(" ".join(message.split()))


class PrintableFormatter(logging.Formatter):
    """Formats log records so that no message can act on a terminal or pass for another record.

    The lines of a message after its first are indented, so none of them begins like a record. Messages are
    cut to MAX_CHARS: a URI may have millions.
    """

    MAX_CHARS: ClassVar[int] = 10_000

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The record's line; its message is escaped."""
        record.message = printable(record.message[: self.MAX_CHARS], keep_newlines=True).replace("\n", "\n  ")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 (logging's own types and name)
        """The traceback, escaped."""
        return printable(super().formatException(ei), keep_newlines=True).replace("\n", "\n  ")


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE_CATEGORIES


def _escape(char: str) -> str:
    code = ord(char)
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(char)
    if named is not None:
        return named
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
