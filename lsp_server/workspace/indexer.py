"""The background work on a workspace, in units of a few milliseconds each: walk, index, choose snippets.

Owns the index, what is left to look at, and which documents may be shown beside others. For one thread. It does not
know threads, pauses, LSP messages or who asks. Imported late: its parts (SQLite, tree-sitter) take a while to load.
"""

import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...fim.gating import is_data, is_secret
from ...fim.text import Document
from ...fim.text.language_ids import CODE_LANGUAGES
from ...fim.text.line_breaks import with_lf
from ...fim.workspace.chunks import Chunk
from ...fim.workspace.files import SourceFile, Stamp, WalkLimits, is_indexable, read_source, real_root, stamp_of, walk
from ...fim.workspace.imports import find_imports
from ...fim.workspace.index import IndexSize, WorkspaceIndex
from ...fim.workspace.recent_chunks import RecentChunks
from ...fim.workspace.snippets import Scene, Selection, select
from ...fim.workspace.sources import Library
from ..protocol.file_uris import name_of, path_of

log = logging.getLogger(__name__)

MAX_SHOWN_CHARS = 1_000_000  # of an open document that is shown beside others
_SCHEMES = ("file:", "untitled:")


@dataclass(frozen=True, kw_only=True)
class IndexerOptions:
    """What is indexed: folders as the client names them, globs that are left out, the most files."""

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_files: int = 20_000


class Indexer:
    """Keeps an index of a workspace current, step by step, and chooses snippets from it."""

    def __init__(self, options: IndexerOptions) -> None:
        self.recent = RecentChunks()
        self.n_changes = 0  # of the workspace, since the first walk: choices made before one may be outdated
        self._options = options
        self._start_anew(options.folders)

    @property
    def is_ready(self) -> bool:
        """Whether the folders have been walked and all that was found is indexed."""
        return self._walk is None and not self._found and not self._reported

    @property
    def size(self) -> IndexSize:
        """How much is indexed."""
        return self._index.size

    @property
    def n_roots(self) -> int:
        """How many folders are a workspace."""
        return len(set(self._roots.values()))

    def close(self) -> None:
        """Give the memory back; in the thread that made it."""
        self._index.close()

    def set_folders(self, folders: Sequence[str]) -> None:
        """Another workspace takes this one's place."""
        self._index.close()
        self._start_anew(tuple(folders))
        self.n_changes += 1

    def rescan(self) -> None:
        """Walk again; files that have not changed are not read again."""
        self._walk = self._walk_all()
        self._met: set[SourceFile] = set()

    def report(self, path: str) -> None:
        """A file at this path was written, made or deleted. What is no source file may be a folder or ignore rules."""
        file = self.file_at(path)
        if file is not None and file.language is not None:
            self._reported[file] = None
        elif file is not None:
            self.rescan()

    def step(self) -> bool:
        """Do one unit of work: look into one folder, or read one file. False when there is nothing to do."""
        if self._reported:
            self._refresh(self._take_reported())
        elif self._found:
            self._put(*self._found.popleft())
        elif self._walk is not None:
            self._look_further(self._walk)
        else:
            return False
        if self.is_ready:
            self._settle()
        return True

    def file_at(self, path: str) -> SourceFile | None:
        """The file of the workspace that a client's path means; None outside of it."""
        for folder, root in self._roots.items():
            if path.startswith(f"{folder.rstrip('/')}/"):
                return SourceFile(root, path[len(folder.rstrip("/")) + 1 :])
        return None

    def may_be_shown(self, document: Document) -> bool:
        """Whether an open document's text may stand in requests about other documents.

        Not: secrets, minified code, what the workspace ignores or links to, and, where there is a workspace, what is
        not in it.
        """
        uri, text = document.uri, document.text
        if not uri.startswith(_SCHEMES) or is_secret(uri) or is_data(uri) or document.language not in CODE_LANGUAGES:
            return False
        if len(text) > MAX_SHOWN_CHARS or "\0" in text or "PRIVATE KEY-----" in text:
            return False
        if not self._roots or not uri.startswith("file:"):
            return True
        file = self._file_of(uri)
        return file is not None and is_indexable(file, self._options.exclude)

    def visit(self, document: Document, offset: int) -> None:
        """A person worked at this place. Raises InputError outside the text."""
        if self.may_be_shown(document):
            self.recent.visit(document, offset)

    def imports_of(self, document: Document) -> tuple[object, ...]:
        """What a document imports, to be compared with later."""
        return find_imports(document.text, document.language)

    def choose(
        self, document: Document, offset: int, open_documents: Mapping[str, Document], off: Collection[str]
    ) -> Selection:
        """Snippets and related texts for a place. Raises InputError outside the text."""
        self.recent.keep(lambda chunk: self._may_still_be_shown(chunk, open_documents.get(chunk.place)))
        others = {
            uri: other for uri, other in open_documents.items() if uri != document.uri and self.may_be_shown(other)
        }
        self._library.open_texts = {
            file: other for uri, other in others.items() if (file := self._file_of(uri)) is not None
        }
        scene = Scene(
            document=document, offset=offset, here=self._file_of(document.uri), others=others, label=self._label
        )
        return select(scene, self._library if self._roots else None, self.recent, off)

    def _may_still_be_shown(self, chunk: Chunk, document: Document | None) -> bool:
        """Whether a remembered text may stand in requests today: the document that it is of, if that is open, or its
        file, as it is now. It may have been renamed, ignored or never saved since."""
        if document is not None:
            return self.may_be_shown(document)
        file = self._file_of(chunk.place)
        if file is None or not is_indexable(file, self._options.exclude):
            return False
        read = read_source(file, self._limits.max_file_bytes)
        return read is not None and chunk.text in with_lf(read[0])

    def _start_anew(self, folders: tuple[str, ...]) -> None:
        self._roots = {folder: root for folder in folders if (root := real_root(folder)) is not None}
        self._roots |= {root: root for root in self._roots.values()}
        n_roots = max(1, self.n_roots)
        default = WalkLimits()
        self._limits = WalkLimits(
            max_files=self._options.max_files // n_roots, max_total_bytes=default.max_total_bytes // n_roots
        )
        self._index = WorkspaceIndex()
        self._library = Library(self._index, self._limits)
        self._found: deque[tuple[SourceFile, Stamp]] = deque()
        self._reported: dict[SourceFile, None] = {}
        self._walk: Iterator[list[tuple[SourceFile, Stamp]]] | None = None
        if self._roots:
            self.rescan()

    def _walk_all(self) -> Iterator[list[tuple[SourceFile, Stamp]]]:
        for root in dict.fromkeys(self._roots.values()):
            yield from walk(root, self._options.exclude, self._limits)

    def _look_further(self, walking: Iterator[list[tuple[SourceFile, Stamp]]]) -> None:
        found = next(walking, None)
        if found is not None:
            self._met.update(file for file, _ in found)
            self._found.extend((file, seen) for file, seen in found if self._index.stamp(file) != seen)
            return
        self._walk = None
        for file, _ in self._index.files():
            if file not in self._met:
                self._index.discard(file)
        self._met = set()

    def _take_reported(self) -> SourceFile:
        file = next(iter(self._reported))
        del self._reported[file]
        return file

    def _refresh(self, file: SourceFile) -> None:
        """Look at a reported file again: it may have changed, be gone, or be one that may not be read."""
        seen = stamp_of(file)
        if seen is None or not is_indexable(file, self._options.exclude):
            self._index.discard(file)
        elif seen != self._index.stamp(file):
            self._put(file, seen)

    def _put(self, file: SourceFile, seen: Stamp) -> None:
        size = self._limits
        read = read_source(file, size.max_file_bytes) if seen.size <= size.max_file_bytes else None
        if read is None or not self._index.put(file, read[1], read[0]):
            self._index.discard(file)

    def _settle(self) -> None:
        """All was looked at: choices may be made anew, and an index full of replaced chunks is built anew."""
        self.n_changes += 1
        if self._index.is_worn:
            self._index.close()
            self._index = WorkspaceIndex()
            self._library = Library(self._index, self._limits)
            self.rescan()

    def _file_of(self, uri: str) -> SourceFile | None:
        path = path_of(uri)
        return None if path is None else self.file_at(path)

    def _label(self, uri: str) -> str:
        file = self._file_of(uri)
        return name_of(uri) if file is None else file.path
