"""The form of every line that the language server logs.

Owns one rule: text of others (a URI, a method's name) neither begins a line of the log nor commands a terminal.
"""

import logging
from typing import ClassVar

from ..fim.printable import printable


class LogFormatter(logging.Formatter):
    """Time, level, place and message. Control characters are escaped; what follows a line break is indented."""

    MAX_CHARS: ClassVar[int] = 10_000  # of one record: a URI may have millions

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return printable(super().format(record)[: self.MAX_CHARS], keep_newlines=True).replace("\n", "\n    ")
