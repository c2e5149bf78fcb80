"""Message parameters, checked by hand: JSON values in, plain values out.

Owns what counts as a well-formed parameter; everything else raises InputError (the caller answers −32602). It exists
because lsprotocol's converters accept `"3"` for 3, and take their time over what happens at every key. It does not
know which documents are open, or pygls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...fim.errors import InputError
from ...fim.text.document import Document, TextChange
from ...fim.text.language_ids import language_id
from ...fim.text.positions import Position
from ..notebooks import Cell, NotebookChange

_INVOKED, _AUTOMATIC = 1, 2
_LARGEST = 2**31 - 1
_WIDEST_INDENT = 64  # columns


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


def read_inline_completion(params: object) -> InlineCompletionParams:
    """`textDocument/inlineCompletion`."""
    fields = _mapping(params, "params")
    context = _mapping(fields.get("context"), "context")
    kind = context.get("triggerKind")
    if isinstance(kind, bool) or kind not in (_INVOKED, _AUTOMATIC):
        raise InputError("context.triggerKind must be 1 (invoked) or 2 (automatic)")
    return InlineCompletionParams(
        uri=_uri(fields),
        position=_position(fields.get("position"), "position"),
        invoked=kind == _INVOKED,
        selected=_selected(context.get("selectedCompletionInfo")),
        indent=_indent(fields.get("formattingOptions")),
    )


def read_warm(params: object) -> tuple[str, Position]:
    """`quicksilver/warm`: the uri, and where the cursor now is."""
    fields = _mapping(params, "params")
    return _uri(fields), _position(fields.get("position"), "position")


def read_did_open(params: object) -> Document:
    """`textDocument/didOpen`."""
    return _document(_mapping(params, "params").get("textDocument"), "textDocument")


def read_did_change(params: object) -> DidChangeParams:
    """`textDocument/didChange`. Raises InputError where it does not say of which document."""
    fields = _mapping(params, "params")
    uri = _uri(fields)
    try:
        version = _mapping(fields.get("textDocument"), "textDocument").get("version")
        return DidChangeParams(
            uri=uri,
            version=None if version is None else _integer(version, "textDocument.version"),
            changes=tuple(_change(change) for change in _items(fields.get("contentChanges"), "contentChanges")),
        )
    except InputError as error:
        return DidChangeParams(uri=uri, problem=str(error))


def read_did_open_notebook(params: object) -> OpenedNotebook:
    """`notebookDocument/didOpen`."""
    fields = _mapping(params, "params")
    notebook = _mapping(fields.get("notebookDocument"), "notebookDocument")
    documents = _items(fields.get("cellTextDocuments"), "cellTextDocuments")
    return OpenedNotebook(
        uri=_string(notebook.get("uri"), "notebookDocument.uri"),
        cells=tuple(_cell(cell) for cell in _items(notebook.get("cells"), "notebookDocument.cells")),
        documents=tuple(_document(document, "cellTextDocuments[]") for document in documents),
    )


def read_did_change_notebook(params: object) -> NotebookChange:
    """`notebookDocument/didChange`; changes of metadata and outputs are nothing to us.

    Raises InputError where it does not say of which notebook.
    """
    fields = _mapping(params, "params")
    uri = read_notebook(params)
    try:
        cells = _mapping(_mapping(fields.get("change"), "change").get("cells") or {}, "change.cells")
        structure = _mapping(cells.get("structure") or {}, "change.cells.structure")
        opened = _items(structure.get("didOpen") or [], "didOpen")
        return NotebookChange(
            uri=uri,
            splice=_splice(structure.get("array")) if structure else None,
            opened=tuple(_document(document, "didOpen[]") for document in opened),
            edits=tuple(_cell_edit(edit) for edit in _items(cells.get("textContent") or [], "textContent")),
        )
    except InputError as error:
        return NotebookChange(uri=uri, problem=str(error))


def read_notebook(params: object) -> str:
    """`notebookDocument/didSave` and `didClose`: the notebook's uri."""
    notebook = _mapping(_mapping(params, "params").get("notebookDocument"), "notebookDocument")
    return _string(notebook.get("uri"), "notebookDocument.uri")


def read_item_report(params: object) -> ItemReport:
    """`textDocument/didShowCompletion` and `didPartiallyAcceptCompletion`."""
    fields = _mapping(params, "params")
    command = _mapping(_mapping(fields.get("item"), "item").get("command"), "item.command")
    arguments = _items(command.get("arguments"), "item.command.arguments")
    n_units = _integer(fields.get("acceptedLength", 0), "acceptedLength")
    if not arguments or n_units < 0:
        raise InputError("item.command.arguments must not be empty, and acceptedLength not negative")
    return ItemReport(arguments=_mapping(arguments[0], "item.command.arguments[0]"), n_accepted_units=n_units)


def read_configuration(params: object) -> object:
    """`workspace/didChangeConfiguration`: the settings that were sent, null by those who want to be asked."""
    return _mapping(params, "params").get("settings")


def read_did_close(params: object) -> str:
    """`textDocument/didClose`: the uri."""
    return _uri(_mapping(params, "params"))


def read_explain(params: object) -> str | None:
    """`quicksilver/explain`: the id of an answer, None for the latest."""
    if params is None:
        return None
    answer_id = _mapping(params, "params").get("id")
    return None if answer_id is None else _string(answer_id, "id")


def read_did_save(params: object) -> str:
    """`textDocument/didSave`: the uri."""
    return _uri(_mapping(params, "params"))


def read_watched_files(params: object) -> tuple[str, ...]:
    """`workspace/didChangeWatchedFiles`: the uris of the files that changed, came or went."""
    changes = _mapping(params, "params").get("changes")
    if not isinstance(changes, list):
        raise InputError("changes must be a list")
    return tuple(_string(_mapping(change, "changes[]").get("uri"), "changes[].uri") for change in changes)


def read_folder_changes(params: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`workspace/didChangeWorkspaceFolders`: the uris of the folders that came and of those that went."""
    event = _mapping(_mapping(params, "params").get("event"), "event")
    return _folder_uris(event.get("added"), "event.added"), _folder_uris(event.get("removed"), "event.removed")


def read_folders(params: Mapping[str, Any]) -> tuple[str, ...]:
    """`initialize`: the uris of the workspace's folders; what is malformed is no folder."""
    folders = params.get("workspaceFolders")
    try:
        return _folder_uris(folders, "workspaceFolders") if folders else (_string(params.get("rootUri"), "rootUri"),)
    except InputError:
        return ()


def watches_files(params: Mapping[str, Any]) -> bool:
    """`initialize`: whether the client can be asked to tell of changed files."""
    found: object = params
    for name in ("capabilities", "workspace", "didChangeWatchedFiles", "dynamicRegistration"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found is True


def _folder_uris(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{name} must be a list")
    return tuple(_string(_mapping(folder, f"{name}[]").get("uri"), f"{name}[].uri") for folder in value)


def _change(change: object) -> TextChange:
    fields = _mapping(change, "contentChanges[]")
    text = _string(fields.get("text"), "contentChanges[].text")
    if fields.get("range") is None:
        return TextChange(None, None, text)
    where = _mapping(fields["range"], "range")
    return TextChange(_position(where.get("start"), "range.start"), _position(where.get("end"), "range.end"), text)


def _document(value: object, name: str) -> Document:
    item = _mapping(value, name)
    uri, language, text = (_string(item.get(part), f"{name}.{part}") for part in ("uri", "languageId", "text"))
    version = _integer(item.get("version", 0), f"{name}.version")
    return Document(uri=uri, version=version, language=language_id(language), text=text)


def _cell(value: object) -> Cell:
    fields = _mapping(value, "cells[]")
    return Cell(_string(fields.get("document"), "cells[].document"), _integer(fields.get("kind"), "cells[].kind") == 2)


def _splice(value: object) -> tuple[int, int, tuple[Cell, ...]]:
    fields = _mapping(value, "structure.array")
    start, n_deleted = (_integer(fields.get(part), f"structure.array.{part}") for part in ("start", "deleteCount"))
    if start < 0 or n_deleted < 0:
        raise InputError("structure.array: start and deleteCount must not be negative")
    return start, n_deleted, tuple(_cell(cell) for cell in _items(fields.get("cells") or [], "structure.array.cells"))


def _cell_edit(value: object) -> tuple[str, int | None, tuple[TextChange, ...]]:
    fields = _mapping(value, "textContent[]")
    document = _mapping(fields.get("document"), "textContent[].document")
    version = document.get("version")
    changes = _items(fields.get("changes"), "textContent[].changes")
    return (
        _string(document.get("uri"), "textContent[].document.uri"),
        None if version is None else _integer(version, "textContent[].document.version"),
        tuple(_change(change) for change in changes),
    )


def _selected(value: object) -> tuple[Position, Position, str] | None:
    if value is None:
        return None
    name = "context.selectedCompletionInfo"
    fields = _mapping(value, name)
    where = _mapping(fields.get("range"), f"{name}.range")
    start, end = (_position(where.get(part), f"{name}.range.{part}") for part in ("start", "end"))
    if end < start:
        raise InputError(f"{name}.range must not end before its start")
    return start, end, _string(fields.get("text"), f"{name}.text")


def _indent(value: object) -> str | None:
    if value is None:
        return None
    fields = _mapping(value, "formattingOptions")
    n_columns, with_spaces = _integer(fields.get("tabSize"), "formattingOptions.tabSize"), fields.get("insertSpaces")
    if not isinstance(with_spaces, bool) or not 1 <= n_columns <= _WIDEST_INDENT:
        raise InputError(f"formattingOptions: insertSpaces must be true or false, tabSize from 1 to {_WIDEST_INDENT}")
    return " " * n_columns if with_spaces else "\t"


def _items(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{name} must be a list")
    return value


def _uri(fields: Mapping[str, Any]) -> str:
    return _string(_mapping(fields.get("textDocument"), "textDocument").get("uri"), "textDocument.uri")


def _position(value: object, name: str) -> Position:
    fields = _mapping(value, name)
    line, character = (_integer(fields.get(part), f"{name}.{part}") for part in ("line", "character"))
    if not (0 <= line <= _LARGEST and 0 <= character <= _LARGEST):
        raise InputError(f"{name}: line and character must be from 0 to {_LARGEST}")
    return Position(line, character)


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} must be an object")
    return value


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string")
    return value


def _integer(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number")
    return value
