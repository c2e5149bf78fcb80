"""Logging to stderr."""

import logging
import sys

from ..text.printable import PrintableFormatter


def log_to_stderr(level: str) -> None:
    """Log to stderr. pygls is silenced: it logs message bodies, which hold source code."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[screen], level="WARNING")
    logging.getLogger("quicksilver").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
