"""Open notebooks: the code cells of one language as one text, so that a cell is completed with the others around it.

Owns cells, their order, and where each begins in the joined text. Outputs and markup never reach us. It does not know
sessions, engines or LSP messages; a cell whose language is not the notebook's stands alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..fim.errors import InputError
from ..fim.text import Document, PositionEncoding, TextChange

SEPARATOR = "\n\n"


@dataclass(frozen=True)
class Cell:
    """One cell: the uri of its document, and whether it holds code."""

    uri: str
    is_code: bool


@dataclass(frozen=True)
class NotebookChange:
    """What changed: cells start to start + n_deleted gave way to cells (splice None: none did); documents that came;
    edits of documents, each (uri, version, changes). problem: why it cannot be read, None if it can."""

    uri: str
    splice: tuple[int, int, tuple[Cell, ...]] | None = None
    opened: tuple[Document, ...] = ()
    edits: tuple[tuple[str, int | None, tuple[TextChange, ...]], ...] = ()
    problem: str | None = None


@dataclass
class Notebook:
    """The cells of one notebook, and their documents by uri; sessions: the uris of those that follow it."""

    uri: str
    cells: list[Cell]
    documents: dict[str, Document]
    version: int = 0
    joined: Document | None = None
    sessions: set[str] = field(default_factory=set)
    starts: Mapping[str, int] = field(default_factory=dict)  # in joined, by the uri of the cell

    def join(self) -> None:
        """Make the joined text anew."""
        known = [self.documents[cell.uri] for cell in self.cells if cell.is_code and cell.uri in self.documents]
        language = _commonest(document.language for document in known)
        parts = [document for document in known if document.language == language]
        starts, at = {}, 0
        for document in parts:
            starts[document.uri] = at
            at += len(document.text) + len(SEPARATOR)
        self.version += 1
        self.starts = starts
        text = SEPARATOR.join(document.text for document in parts)
        self.joined = Document(self.uri, self.version, language, text) if parts else None


class Notebooks:
    """All open notebooks, by their uris and by those of their cells."""

    def __init__(self) -> None:
        self._by_uri: dict[str, Notebook] = {}
        self._by_cell: dict[str, Notebook] = {}

    def open(self, uri: str, cells: Sequence[Cell], documents: Iterable[Document]) -> Notebook:
        """A notebook was opened (or opened again)."""
        self.close(uri)
        notebook = Notebook(uri, list(cells), {document.uri: document for document in documents})
        self._by_uri[uri] = notebook
        self._joined_anew(notebook)
        return notebook

    def of_cell(self, uri: str) -> Notebook | None:
        """The notebook that a cell belongs to."""
        return self._by_cell.get(uri)

    def change(self, change: NotebookChange, encoding: PositionEncoding) -> Notebook:
        """Take a change over. Raises InputError for what does not fit; nothing has changed then."""
        notebook = self._by_uri.get(change.uri)
        if notebook is None:
            raise InputError("the editor has not opened this notebook")
        if change.problem is not None:
            raise InputError(change.problem)
        documents = notebook.documents | {document.uri: document for document in change.opened}
        for uri, version, changes in change.edits:
            before = documents.get(uri)
            if before is None:
                raise InputError("an edit came for a cell that the editor has not opened")
            documents[uri] = before.with_changes(changes, before.version + 1 if version is None else version, encoding)
        cells = list(notebook.cells)
        if change.splice is not None:
            start, n_deleted, new = change.splice
            if start + n_deleted > len(cells):
                raise InputError(f"cells {start} to {start + n_deleted} are not there: there are {len(cells)}")
            cells[start : start + n_deleted] = new
        held = {cell.uri for cell in cells}
        notebook.cells = cells
        notebook.documents = {uri: document for uri, document in documents.items() if uri in held}
        self._joined_anew(notebook)
        return notebook

    def close(self, uri: str) -> Notebook | None:
        """A notebook was closed; unknown ones are fine."""
        notebook = self._by_uri.pop(uri, None)
        self._by_cell = {cell: other for cell, other in self._by_cell.items() if other is not notebook}
        return notebook

    def _joined_anew(self, notebook: Notebook) -> None:
        notebook.join()
        self._by_cell = {cell: other for cell, other in self._by_cell.items() if other is not notebook}
        self._by_cell.update({cell.uri: notebook for cell in notebook.cells})


def _commonest(languages: Iterable[str]) -> str:
    """The language that most cells have, the first of several; "" for none."""
    counted = Counter(languages).most_common(1)
    return counted[0][0] if counted else ""
