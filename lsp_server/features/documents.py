"""What an editor says of its documents: opened, changed, closed, the cursor moved.

Owns how a document's session follows it. It does not know how positions become offsets, or what follows from a change
(observers.py).
"""

import logging
from dataclasses import dataclass

from ...fim.errors import InputError
from ...fim.text import Document, Position
from ..events import Edit
from ..prefetch import read_ahead
from ..protocol import params as read
from ..sessions import Session
from ..state import ServerState

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DocumentPlace:
    """A place in an open document: its session, the offset, and the line of the document at which what the editor names
    begins (0, but for a cell of a notebook)."""

    session: Session
    offset: int
    first_line: int = 0


def find_place(ls: ServerState, uri: str, position: Position) -> DocumentPlace | None:
    """The place that an editor means; None where it has not opened that. Raises InputError for a negative position."""
    notebook = ls.notebooks.of_cell(uri)
    session = None if notebook is None else ls.sessions.find(notebook.uri)
    if notebook is not None and session is not None and uri in notebook.starts:
        start = notebook.starts[uri]
        offset = start + notebook.documents[uri].offset_at(position, ls.encoding)
        return DocumentPlace(session, offset, session.document.line_of(start))
    session = ls.sessions.find(uri)
    return None if session is None else DocumentPlace(session, session.document.offset_at(position, ls.encoding))


def did_open(ls: ServerState, document: Document) -> None:
    """Keep a document."""
    ls.sessions.open(document)
    for told in ls.events.opened:
        told(document)


def did_change(ls: ServerState, change: read.DidChangeParams) -> None:
    """Take edits over and stop what runs for the older text."""
    session = ls.sessions.find(change.uri)
    if session is None:
        log.warning("a change came for a document that the editor has not opened: %s", change.uri)
        return
    version = session.document.version + 1 if change.version is None else change.version
    try:
        if change.problem is not None:
            raise InputError(change.problem)
        document = session.document.with_changes(change.changes, version, ls.encoding)
    except InputError as error:
        log.warning("a change could not be applied (%s); %s counts as closed until it is reopened", error, change.uri)
        did_close(ls, change.uri)
        return
    n_inserted = sum(len(each.text) for each in change.changes)
    follow(ls, session, document, n_inserted, _edited_at(document, change, ls))


def did_close(ls: ServerState, uri: str) -> None:
    """Forget a document."""
    session = ls.sessions.find(uri)
    if session is None:
        return
    ls.sessions.close(uri)
    for told in ls.events.closed:
        told(session)


def cursor_moved(ls: ServerState, place: tuple[str, Position]) -> None:
    """`quicksilver/warm`: the cursor stands there now, and a question may come."""
    found = find_place(ls, *place)
    if found is not None:
        ls.look_at(found.session.document)
    if found is not None and not found.session.is_asking:
        found.session.asked = None
        ls.spawn(read_ahead(ls, found.session, found.offset))


def follow(ls: ServerState, session: Session, document: Document, n_inserted: int, offset: int | None) -> None:
    """A document's session goes on with its next text; the edit ended at offset, None where that is not known."""
    before = session.document
    session.change(document, n_inserted, len(before.text) + n_inserted - len(document.text))
    for told in ls.events.edited:
        told(Edit(session, before, offset))


def _edited_at(document: Document, change: read.DidChangeParams, ls: ServerState) -> int | None:
    """The offset at the end of the last edit; None where that was the whole text."""
    last = change.changes[-1] if change.changes else None
    if last is None or last.start is None:
        return None
    return min(document.offset_at(last.start, ls.encoding) + len(last.text), len(document.text))
