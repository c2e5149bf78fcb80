"""Logging to stderr, and to a file."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ..text.printable import PrintableFormatter, one_line

_LOG_BYTES = 1_000_000


def log_to_stderr(level: str) -> None:
    """Log to stderr. pygls is silenced: it logs message bodies, which hold source code."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[screen], level="WARNING")
    logging.getLogger("quicksilver").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)


class LogFile(RotatingFileHandler):
    """A log file and the one before it, of at most _LOG_BYTES each.

    What the system does not take, as on a full disk, is dropped; prefix and one line on stderr say so, once. logging
    would print a traceback for each record.
    """

    def __init__(self, path: Path, *, prefix: str) -> None:
        super().__init__(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
        self._prefix = prefix
        self._has_told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say once that the file cannot be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_told:
            self._has_told = True
            reason = error.strerror or type(error).__name__
            line = f"the log {self.baseFilename} cannot be written: {reason} (this is reported once)"
            print(self._prefix + one_line(line), file=sys.stderr)
