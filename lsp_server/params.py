"""Message parameters, checked by hand: JSON values in, plain values out.

Owns what counts as a well-formed parameter; everything else raises InputError (the caller answers −32602). It exists
because lsprotocol's converters accept `"3"` for 3, and take their time over what happens at every key. It does not
know which documents are open, or pygls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..fim.document import Document, TextChange
from ..fim.errors import InputError
from ..fim.positions import Position

_INVOKED, _AUTOMATIC = 1, 2
_LARGEST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class InlineCompletionParams:
    """Where a completion is wanted, and whether a person asked for it by hand."""

    uri: str
    position: Position
    invoked: bool


@dataclass(frozen=True, kw_only=True)
class DidChangeParams:
    """Edits of one document; version None when the client sent none."""

    uri: str
    version: int | None
    changes: tuple[TextChange, ...]


def read_inline_completion(params: object) -> InlineCompletionParams:
    """`textDocument/inlineCompletion`."""
    fields = _mapping(params, "params")
    context = _mapping(fields.get("context"), "context")
    kind = context.get("triggerKind")
    if isinstance(kind, bool) or kind not in (_INVOKED, _AUTOMATIC):
        raise InputError("context.triggerKind must be 1 (invoked) or 2 (automatic)")
    position = _position(fields.get("position"), "position")
    return InlineCompletionParams(uri=_uri(fields), position=position, invoked=kind == _INVOKED)


def read_warm(params: object) -> tuple[str, Position]:
    """`quicksilver/warm`: the uri, and where the cursor now is."""
    fields = _mapping(params, "params")
    return _uri(fields), _position(fields.get("position"), "position")


def read_did_open(params: object) -> Document:
    """`textDocument/didOpen`."""
    item = _mapping(_mapping(params, "params").get("textDocument"), "textDocument")
    uri, language, text = (_string(item.get(name), f"textDocument.{name}") for name in ("uri", "languageId", "text"))
    version = _integer(item.get("version", 0), "textDocument.version")
    return Document(uri=uri, version=version, language=language, text=text)


def read_did_change(params: object) -> DidChangeParams:
    """`textDocument/didChange`."""
    fields = _mapping(params, "params")
    version = _mapping(fields.get("textDocument"), "textDocument").get("version")
    changes = fields.get("contentChanges")
    if not isinstance(changes, list):
        raise InputError("contentChanges must be a list")
    return DidChangeParams(
        uri=_uri(fields),
        version=None if version is None else _integer(version, "textDocument.version"),
        changes=tuple(_change(change) for change in changes),
    )


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
