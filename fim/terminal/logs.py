"""Our log on stderr."""

import logging
import sys

from ..text.printable import PrintableFormatter


def log_to_stderr(level: str) -> None:
    """Our log to stderr. pygls logs message bodies, that is source code, and so logs nothing."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[screen], level="WARNING")
    logging.getLogger("quicksilver").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)
