"""The messages that tell of a workspace: its folders, and files that were saved or changed behind the editor's back.

Owns what each of them does. It does not know what is done with files (service.py).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ...fim.text import Document
from ..prefetch import read_again
from ..protocol import params as read
from ..protocol.endpoint import ParamsReader, types
from ..protocol.file_uris import path_of
from ..state import ServerState
from ..workspace import Workspace

log = logging.getLogger(__name__)

STATUS = "quicksilver/workspace"
WATCHED = (
    "**/*.{py,pyi,pyw,js,mjs,cjs,jsx,ts,mts,cts,tsx,go,rs,java,c,h,cc,cpp,cxx,hh,hpp,php,sh,bash,gitignore,ignore}"
)


def start_workspace(ls: ServerState) -> None:
    """Begin to index what the client named as its workspace, if it is to be."""
    ls.folders = list(read.read_folders(ls.strict.client_said))
    _start(ls)


def restart_workspace(ls: ServerState) -> None:
    """Forget all of the workspace, and index it anew if it is to be: the settings have changed."""
    ls.project.close()
    ls.project = Workspace()
    _start(ls)


def _start(ls: ServerState) -> None:
    settings = ls.settings
    if not (settings.enabled and settings.workspace):
        return
    loop = asyncio.get_running_loop()

    def chosen(document: Document, offset: int) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(read_again, ls, document, offset)

    ls.project.start(_paths(ls.folders), settings.exclude, settings.max_workspace_files, chosen)
    for session in ls.sessions:
        ls.project.opened(session.document)
    if read.watches_files(ls.strict.client_said):
        ls.spawn(_watch_files(ls))


async def _watch_files(ls: ServerState) -> None:
    """Ask the client to tell of changed files."""
    watcher = types.FileSystemWatcher(glob_pattern=WATCHED)
    options = types.DidChangeWatchedFilesRegistrationOptions(watchers=[watcher])
    wanted = types.Registration(
        id="quicksilver-files", method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES, register_options=options
    )
    try:
        await ls.client_register_capability_async(types.RegistrationParams(registrations=[wanted]))
    except Exception as error:  # whatever a client answers: then we look ourselves now and then
        log.info("the client does not tell of changed files (%s)", type(error).__name__)
    else:
        ls.project.told_of_files()


def did_save(ls: ServerState, uri: str) -> None:
    """A document was saved."""
    ls.project.files_changed(_paths([uri]))


def watched_files_changed(ls: ServerState, uris: tuple[str, ...]) -> None:
    """Files changed, came or went."""
    ls.project.files_changed(_paths(uris))


def folders_changed(ls: ServerState, change: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    """Folders came into the workspace or left it."""
    added, removed = change
    kept = [uri for uri in ls.folders if uri not in removed]
    ls.folders = list(dict.fromkeys([*kept, *added]))
    ls.project.folders_changed(_paths(ls.folders))


def status(ls: ServerState, _: object) -> dict[str, Any]:
    """Answer `quicksilver/workspace`: how much is indexed, and whether all has been looked at."""
    return ls.project.describe()


def _paths(uris: list[str] | tuple[str, ...]) -> list[str]:
    return [path for uri in uris if (path := path_of(uri)) is not None]


FEATURES: Mapping[str, Callable[..., Any]] = {
    types.TEXT_DOCUMENT_DID_SAVE: did_save,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: watched_files_changed,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: folders_changed,
    STATUS: status,
}
READERS: Mapping[str, ParamsReader] = {
    types.TEXT_DOCUMENT_DID_SAVE: read.read_did_save,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: read.read_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: read.read_folder_changes,
    STATUS: lambda params: params,
}
