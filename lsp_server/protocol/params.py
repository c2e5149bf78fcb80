"""Message parameters: JSON values in, plain values out.

Owns the shapes of LSP's parameters, as far as they are used; a malformed one raises InputError (the caller answers
−32602). lsprotocol's converters accept `"3"` for 3, and take their time over what happens at every key; these do not
(`fim.typed_values`). It does not know which documents are open, or pygls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ...fim.errors import InputError
from ...fim.text import Document, Position, TextChange
from ...fim.text.language_ids import language_id
from ...fim.typed_values import typed
from ..notebooks import Cell, NotebookChange

_INVOKED, _CODE_CELL = 1, 2
_LARGEST = 2**31 - 1
_WIDEST_INDENT = 64  # columns
_Coordinate = Annotated[int, Meta(ge=0, le=_LARGEST)]
_Size = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, kw_only=True)
class InlineCompletionParams:
    """Where a completion is wanted, and whether a person invoked it.

    selected: start, end and text of the item that is selected in the editor's menu, None without one. indent: what the
    editor indents a level with, None where it does not say.
    """

    uri: str
    position: Position
    invoked: bool
    selected: tuple[Position, Position, str] | None = None
    indent: str | None = None


@dataclass(frozen=True, kw_only=True)
class DidChangeParams:
    """Edits of one document; version None when the client sent none. problem: why they cannot be read, None if they
    can."""

    uri: str
    version: int | None = None
    changes: tuple[TextChange, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class ItemReport:
    """What an editor tells of an item: its command's argument, and how much of its text was taken, in UTF-16 units."""

    arguments: Mapping[str, Any]
    n_accepted_units: int = 0


@dataclass(frozen=True, kw_only=True)
class OpenedNotebook:
    """A notebook, its cells in order and their documents."""

    uri: str
    cells: tuple[Cell, ...]
    documents: tuple[Document, ...]


class _Shape(Struct, rename="camel"):
    """An object of LSP. Keys that are not used are ignored."""


class _Point(_Shape):
    line: _Coordinate
    character: _Coordinate

    @property
    def position(self) -> Position:
        return Position(self.line, self.character)


class _Range(_Shape):
    start: _Point
    end: _Point


class _Named(_Shape):
    """Whatever has a uri: a document, a notebook, a folder, a file."""

    uri: str


class _Versioned(_Named):
    version: int | None = None


class _Opened(_Named):
    language_id: str
    text: str
    version: int = 0

    @property
    def document(self) -> Document:
        return Document(uri=self.uri, version=self.version, language=language_id(self.language_id), text=self.text)


class _Change(_Shape):
    text: str
    range: _Range | None = None

    @property
    def change(self) -> TextChange:
        if self.range is None:
            return TextChange(None, None, self.text)
        return TextChange(self.range.start.position, self.range.end.position, self.text)


class _Selected(_Shape):
    range: _Range
    text: str

    def __post_init__(self) -> None:
        if self.range.end.position < self.range.start.position:
            raise ValueError("the range must not end before its start")


class _Formatting(_Shape):
    tab_size: Annotated[int, Meta(ge=1, le=_WIDEST_INDENT)]
    insert_spaces: bool


class _Context(_Shape):
    trigger_kind: Literal[1, 2]
    selected_completion_info: _Selected | None = None


class _OfDocument(_Shape):
    text_document: _Named


class _At(_OfDocument):
    position: _Point


class _InlineCompletion(_At):
    context: _Context
    formatting_options: _Formatting | None = None


class _DidOpen(_Shape):
    text_document: _Opened


class _DidChange(_Shape):
    text_document: _Versioned
    content_changes: tuple[_Change, ...]


class _NotebookCell(_Shape):
    document: str
    kind: int

    @property
    def cell(self) -> Cell:
        return Cell(self.document, self.kind == _CODE_CELL)


class _Notebook(_Named):
    cells: tuple[_NotebookCell, ...]


class _DidOpenNotebook(_Shape):
    notebook_document: _Notebook
    cell_text_documents: tuple[_Opened, ...]


class _OfNotebook(_Shape):
    notebook_document: _Named


class _Splice(_Shape):
    start: _Size
    delete_count: _Size
    cells: tuple[_NotebookCell, ...] | None = None


class _Structure(_Shape):
    array: _Splice | None = None
    did_open: tuple[_Opened, ...] | None = None


class _CellEdit(_Shape):
    document: _Versioned
    changes: tuple[_Change, ...]


class _Cells(_Shape):
    structure: _Structure | None = None
    text_content: tuple[_CellEdit, ...] | None = None


class _NotebookChange(_Shape):
    cells: _Cells | None = None


class _DidChangeNotebook(_Shape):
    change: _NotebookChange


class _Command(_Shape):
    arguments: Annotated[tuple[Any, ...], Meta(min_length=1)]


class _Item(_Shape):
    command: _Command


class _ItemReport(_Shape):
    item: _Item
    accepted_length: _Size = 0


class _Configuration(_Shape):
    settings: Any = None


class _Explain(_Shape):
    id: str | None = None


class _WatchedFiles(_Shape):
    changes: tuple[_Named, ...]


class _FolderEvent(_Shape):
    added: tuple[_Named, ...]
    removed: tuple[_Named, ...]


class _FolderChanges(_Shape):
    event: _FolderEvent


class _Folders(_Shape):
    workspace_folders: tuple[_Named, ...] | None = None


class _Root(_Shape):
    root_uri: str


def read_inline_completion(params: object) -> InlineCompletionParams:
    """`textDocument/inlineCompletion`."""
    found = typed(params, _InlineCompletion, "params")
    chosen, formatting = found.context.selected_completion_info, found.formatting_options
    return InlineCompletionParams(
        uri=found.text_document.uri,
        position=found.position.position,
        invoked=found.context.trigger_kind == _INVOKED,
        selected=chosen and (chosen.range.start.position, chosen.range.end.position, chosen.text),
        indent=formatting and (" " * formatting.tab_size if formatting.insert_spaces else "\t"),
    )


def read_warm(params: object) -> tuple[str, Position]:
    """`quicksilver/warm`: the uri, and where the cursor now is."""
    found = typed(params, _At, "params")
    return found.text_document.uri, found.position.position


def read_did_open(params: object) -> Document:
    """`textDocument/didOpen`."""
    return typed(params, _DidOpen, "params").text_document.document


def read_did_change(params: object) -> DidChangeParams:
    """`textDocument/didChange`. Raises InputError where it does not say of which document."""
    uri = _uri(params)
    try:
        found = typed(params, _DidChange, "params")
    except InputError as error:
        return DidChangeParams(uri=uri, problem=str(error))
    changes = tuple(each.change for each in found.content_changes)
    return DidChangeParams(uri=uri, version=found.text_document.version, changes=changes)


def read_did_open_notebook(params: object) -> OpenedNotebook:
    """`notebookDocument/didOpen`."""
    found = typed(params, _DidOpenNotebook, "params")
    return OpenedNotebook(
        uri=found.notebook_document.uri,
        cells=tuple(each.cell for each in found.notebook_document.cells),
        documents=tuple(each.document for each in found.cell_text_documents),
    )


def read_did_change_notebook(params: object) -> NotebookChange:
    """`notebookDocument/didChange`; changes of metadata and outputs are nothing to us.

    Raises InputError where it does not say of which notebook.
    """
    uri = read_notebook(params)
    try:
        cells = typed(params, _DidChangeNotebook, "params").change.cells or _Cells()
    except InputError as error:
        return NotebookChange(uri=uri, problem=str(error))
    structure = cells.structure
    splice = structure and structure.array
    return NotebookChange(
        uri=uri,
        splice=splice and (splice.start, splice.delete_count, tuple(each.cell for each in splice.cells or ())),
        opened=tuple(each.document for each in (structure and structure.did_open) or ()),
        edits=tuple(
            (edit.document.uri, edit.document.version, tuple(each.change for each in edit.changes))
            for edit in cells.text_content or ()
        ),
    )


def read_notebook(params: object) -> str:
    """`notebookDocument/didSave` and `didClose`: the notebook's uri."""
    return typed(params, _OfNotebook, "params").notebook_document.uri


def read_item_report(params: object) -> ItemReport:
    """`textDocument/didShowCompletion` and `didPartiallyAcceptCompletion`."""
    found = typed(params, _ItemReport, "params")
    arguments = typed(found.item.command.arguments[0], dict[str, Any], "params.item.command.arguments[0]")
    return ItemReport(arguments=arguments, n_accepted_units=found.accepted_length)


def read_configuration(params: object) -> object:
    """`workspace/didChangeConfiguration`: the settings that were sent, null by those who want to be asked."""
    return typed(params, _Configuration, "params").settings


def read_did_close(params: object) -> str:
    """`textDocument/didClose`: the uri."""
    return _uri(params)


def read_explain(params: object) -> str | None:
    """`quicksilver/explain`: the id of an answer, None for the latest."""
    return None if params is None else typed(params, _Explain, "params").id


def read_did_save(params: object) -> str:
    """`textDocument/didSave`: the uri."""
    return _uri(params)


def read_watched_files(params: object) -> tuple[str, ...]:
    """`workspace/didChangeWatchedFiles`: the uris of the files that changed, came or went."""
    return tuple(each.uri for each in typed(params, _WatchedFiles, "params").changes)


def read_folder_changes(params: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`workspace/didChangeWorkspaceFolders`: the uris of the folders that came and of those that went."""
    event = typed(params, _FolderChanges, "params").event
    return tuple(each.uri for each in event.added), tuple(each.uri for each in event.removed)


def read_folders(params: Mapping[str, Any]) -> tuple[str, ...]:
    """`initialize`: the uris of the workspace's folders; what is malformed is no folder."""
    try:
        folders = typed(params, _Folders, "params").workspace_folders
        return tuple(each.uri for each in folders) if folders else (typed(params, _Root, "params").root_uri,)
    except InputError:
        return ()


def watches_files(params: Mapping[str, Any]) -> bool:
    """`initialize`: whether the client can be asked to tell of changed files."""
    found: object = params
    for name in ("capabilities", "workspace", "didChangeWatchedFiles", "dynamicRegistration"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found is True


def _uri(params: object) -> str:
    return typed(params, _OfDocument, "params").text_document.uri
