"""What an editor says of its notebooks: opened, changed, closed.

Owns how sessions follow cells: the code cells of one language are one document, and so told of as if it were open.
"""

import logging

from ...fim.errors import InputError
from ..notebooks import Notebook, NotebookChange
from ..protocol.params import OpenedNotebook
from ..state import ServerState
from .documents import did_close, did_open, follow

log = logging.getLogger(__name__)


def did_open_notebook(ls: ServerState, opened: OpenedNotebook) -> None:
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
            follow(ls, session, document, max(n_more, 0), offset)
