"""The index of a workspace: which chunks have which words (BM25, in memory), and which files a module's name may mean.

A full-text index over chunks by SQLite. It keeps words and line numbers, no text: to get a chunk's text, read its file
again. Not thread-safe.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .chunks import split_lines
from .files import SourceFile, Stamp

MAX_INDEX_BYTES = 64_000_000  # of SQLite's pages; texts of 64 MB take about a third of their size
N_QUERY_WORDS = 24
_DEAD_SHARE, _N_DEAD_FREE = 0.5, 2_000  # removed chunks that the index may still hold, as a share and as a number
_CREATE = """
PRAGMA temp_store = MEMORY;
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '_'");
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, file INTEGER, first INTEGER, last INTEGER);
CREATE INDEX chunk_of ON chunk(file);
"""


@dataclass(frozen=True)
class ChunkPlace:
    """Lines of a file, from start (counted from 0) to end (exclusive); score is BM25's, larger is better."""

    file: SourceFile
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class IndexSize:
    """The size of an index: files, chunks, bytes of the files, bytes of the index itself."""

    n_files: int = 0
    n_chunks: int = 0
    n_text_bytes: int = 0
    n_index_bytes: int = 0


@dataclass(frozen=True)
class _IndexEntry:
    number: int
    stamp: Stamp
    n_chunks: int


class WorkspaceIndex:
    """Chunks of files by words, files by name."""

    def __init__(self, max_index_bytes: int = MAX_INDEX_BYTES) -> None:
        self._max_index_bytes = max_index_bytes
        self._entries: dict[SourceFile, _IndexEntry] = {}
        self._by_number: dict[int, SourceFile] = {}
        self._by_stem: defaultdict[str, set[SourceFile]] = defaultdict(set)
        self._last_file = self._last_chunk = self._n_dead = self._n_text_bytes = 0
        self._db = _new_database()

    def close(self) -> None:
        """Free the memory."""
        self._db.close()

    @property
    def size(self) -> IndexSize:
        """The present size."""
        return IndexSize(
            n_files=len(self._entries),
            n_chunks=self._last_chunk - self._n_dead,
            n_text_bytes=self._n_text_bytes,
            n_index_bytes=self._n_bytes(),
        )

    @property
    def is_fragmented(self) -> bool:
        """Whether so much was replaced that a new index would pay."""
        n_alive = self._last_chunk - self._n_dead
        return self._n_dead > _N_DEAD_FREE + _DEAD_SHARE * n_alive

    def __contains__(self, file: object) -> bool:
        return file in self._entries

    def files(self) -> Iterator[tuple[SourceFile, Stamp]]:
        """All files, with the state that they were indexed in."""
        return iter([(file, entry.stamp) for file, entry in self._entries.items()])

    def stamp(self, file: SourceFile) -> Stamp | None:
        """The state in which a file was indexed; None for one that is not."""
        entry = self._entries.get(file)
        return None if entry is None else entry.stamp

    def put(self, file: SourceFile, stamp: Stamp, text: str) -> bool:
        """Index a file's text, replacing an older one. False if the index is full; then the file is not in it."""
        self.discard(file)
        if self._n_bytes() >= self._max_index_bytes:
            return False
        self._last_file += 1
        number, lines = self._last_file, text.splitlines()
        ranges = split_lines(lines)
        ids = range(self._last_chunk + 1, self._last_chunk + 1 + len(ranges))
        chunks = [(id_, number, start, end) for id_, (start, end) in zip(ids, ranges, strict=True)]
        texts = [(id_, "\n".join(lines[start:end])) for id_, _, start, end in chunks]
        with self._db:
            self._db.executemany("INSERT INTO chunk(id, file, first, last) VALUES (?, ?, ?, ?)", chunks)
            self._db.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", texts)
        self._last_chunk += len(ranges)
        self._n_text_bytes += stamp.size
        self._entries[file] = _IndexEntry(number, stamp, len(ranges))
        self._by_number[number] = file
        self._by_stem[_stem(file)].add(file)
        return True

    def discard(self, file: SourceFile) -> None:
        """Forget a file, if it is here. Its words stay in the index as dead weight (see is_fragmented)."""
        entry = self._entries.pop(file, None)
        if entry is None:
            return
        del self._by_number[entry.number]
        self._by_stem[_stem(file)].discard(file)
        self._n_dead += entry.n_chunks
        self._n_text_bytes -= entry.stamp.size
        with self._db:
            self._db.execute("DELETE FROM chunk WHERE file = ?", (entry.number,))

    def search(self, wanted: Collection[str], n_max: int) -> list[ChunkPlace]:
        """The chunks with the best BM25 score for these words (only the rarest count), the best first."""
        query = " OR ".join(f'"{word}"' for word in self._rarest(wanted))
        if not query:
            return []
        rows = self._db.execute(
            "SELECT chunk.file, first, last, -bm25(words) FROM words JOIN chunk ON chunk.id = words.rowid"
            " WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?",
            (query, n_max),
        )
        return [ChunkPlace(self._by_number[number], start, end, score) for number, start, end, score in rows]

    def named(self, *endings: str) -> list[SourceFile]:
        """The files whose path is one of these or ends with one, in whole parts (`a/b.py` is `x/a/b.py`)."""
        found = {file for ending in endings for file in self._by_stem.get(_stem_of_path(ending), ())}
        tails = tuple(f"/{ending}" for ending in endings)
        return sorted(file for file in found if f"/{file.path}".endswith(tails))

    def in_folder(self, root: str, folder: str) -> list[SourceFile]:
        """The files in a folder of a root, by name."""
        return sorted(file for file in self._entries if file.root == root and file.folder == folder)

    def _rarest(self, wanted: Collection[str]) -> list[str]:
        """The words that the fewest chunks have, but at least one."""
        folded = sorted({word.lower() for word in wanted if '"' not in word})[:400]
        marks = ",".join("?" * len(folded))
        rows = self._db.execute(f"SELECT term FROM vocabulary WHERE term IN ({marks}) ORDER BY doc, term", folded)
        return [term for (term,) in rows.fetchmany(N_QUERY_WORDS)]

    def _n_bytes(self) -> int:
        (n_pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = self._db.execute("PRAGMA page_size").fetchone()
        return n_pages * page_bytes


def _new_database() -> sqlite3.Connection:
    """A database in memory only: no source text may reach a disk."""
    database = sqlite3.connect(":memory:")
    database.executescript(_CREATE)
    return database


def _stem(file: SourceFile) -> str:
    return _stem_of_path(file.path)


def _stem_of_path(path: str) -> str:
    """A file's name without extensions; for a package, its folder's too."""
    *folders, name = path.rsplit("/", 2)
    stem = name.partition(".")[0]
    return f"{folders[-1]}/{stem}" if stem in ("__init__", "index") and folders else stem
