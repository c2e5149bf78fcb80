"""What an editor says of its documents and notebooks: opened, changed, closed, the cursor moved.

Owns how a document's session follows it, cells of notebooks included, and what a change tells about the text on show.
It does not know how positions become offsets, or what is done with a document.
"""

import logging
from dataclasses import dataclass

from ...fim.errors import InputError
from ...fim.reuse import n_typed
from ...fim.text.document import Document
from ...fim.text.positions import Position
from ..answers import Answer, Item
from ..ghost_text import LastShown, other_shown
from ..notebooks import Notebook, NotebookChange
from ..prefetch import read_ahead, read_when_idle
from ..protocol import params as read
from ..sessions import Session
from ..state import ServerState

log = logging.getLogger(__name__)
N_TAKEN_LEAST = 2  # characters of a shown text that arrive in one edit: less is a key


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
    ls.project.opened(document)
    ls.look_at(document)


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
    _follow(ls, session, document, n_inserted, _edited_at(document, change, ls))


def did_close(ls: ServerState, uri: str) -> None:
    """Forget a document."""
    session = ls.sessions.find(uri)
    if session is not None and session.shown is not None:
        _note_outcome(ls, session.shown, session.document, None)
    ls.sessions.close(uri)
    ls.project.closed(uri)


def cursor_moved(ls: ServerState, place: tuple[str, Position]) -> None:
    """`quicksilver/warm`: the cursor stands there now, and a question may come."""
    found = find_place(ls, *place)
    if found is not None:
        ls.look_at(found.session.document)
    if found is not None and not found.session.is_asking:
        found.session.asked = None
        ls.spawn(read_ahead(ls, found.session, found.offset))


def on_show(ls: ServerState, answer: Answer, item: Item) -> None:
    """An editor shows this item of an answer: it is what may be typed now."""
    for session in ls.sessions:
        if session.shown is not None and session.shown.answer.id == answer.id and item != answer.choices[0]:
            session.shown = other_shown(session.shown, item)


def did_open_notebook(ls: ServerState, opened: read.OpenedNotebook) -> None:
    """Keep a notebook, its code cells as one text."""
    did_close_notebook(ls, opened.uri)
    notebook = ls.notebooks.open(opened.uri, opened.cells, opened.documents)
    _joined(ls, notebook)


def did_change_notebook(ls: ServerState, change: NotebookChange) -> None:
    """Take over what happened to the cells of a notebook."""
    try:
        notebook = ls.notebooks.change(change, ls.encoding)
    except InputError as error:
        log.warning("a change could not be applied (%s); %s counts as closed until it is reopened", error, change.uri)
        did_close_notebook(ls, change.uri)
        return
    _joined(ls, notebook, change.edits[-1][0] if change.edits else None)


def did_close_notebook(ls: ServerState, uri: str) -> None:
    """Forget a notebook and its cells."""
    notebook = ls.notebooks.close(uri)
    if notebook is not None:
        for each in notebook.sessions:
            did_close(ls, each)


def did_save_notebook(ls: ServerState, uri: str) -> None:
    """Nothing follows from it: cells are known from the editor."""


def _joined(ls: ServerState, notebook: Notebook, edited: str | None = None) -> None:
    """Have the sessions follow the cells: one for those of the notebook's language, one for each of the others."""
    alone = {uri: document for uri, document in notebook.documents.items() if uri not in notebook.starts}
    wanted = ({notebook.uri: notebook.joined} if notebook.joined is not None else {}) | alone
    for uri in notebook.sessions - wanted.keys():
        did_close(ls, uri)
    notebook.sessions = set(wanted)
    for uri, document in wanted.items():
        session = ls.sessions.find(uri)
        if session is None or session.document.language != document.language:
            did_open(ls, document)
        elif session.document.text != document.text:
            n_more = len(document.text) - len(session.document.text)
            start = None if edited is None else notebook.starts.get(edited)
            offset = None if edited is None or start is None else start + len(notebook.documents[edited].text)
            _follow(ls, session, document, max(n_more, 0), offset)


def _follow(ls: ServerState, session: Session, document: Document, n_inserted: int, offset: int | None) -> None:
    """A document's session goes on with its next text; the edit ended at offset, None where that is not known."""
    before = session.document
    if session.shown is not None:
        _note_outcome(ls, session.shown, before, document)
    session.change(document, n_inserted, len(before.text) + n_inserted - len(document.text))
    ls.project.changed(document, offset)
    if offset is not None:
        ls.spawn(read_when_idle(ls, session, document, offset))


def _note_outcome(ls: ServerState, shown: LastShown, before: Document, after: Document | None) -> None:
    """What became of a shown text by an edit: more of it stands there now, or something else (after None: nothing)."""
    had, has = n_typed(shown.shown, before), None if after is None else n_typed(shown.shown, after)
    length, answer = len(shown.shown.text), shown.answer
    if had is None or not ls.outcomes.may_infer(answer.shown_id):
        return
    if has is None:
        ls.outcomes.rejected(answer.shown_id)
    elif has - had >= N_TAKEN_LEAST and not ls.outcomes.tells:
        if has == length:
            ls.outcomes.accepted(answer.shown_id, length - had)
        else:
            ls.outcomes.took(answer.shown_id, has - had)
    ls.status.counted(ls.outcomes.counts)


def _edited_at(document: Document, change: read.DidChangeParams, ls: ServerState) -> int | None:
    """The offset at the end of the last edit; None where that was the whole text."""
    last = change.changes[-1] if change.changes else None
    if last is None or last.start is None:
        return None
    return min(document.offset_at(last.start, ls.encoding) + len(last.text), len(document.text))
