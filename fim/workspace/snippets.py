"""Snippets: texts from other files that the model reads beside a document, chosen for a place in it.

Owns which, in what order and within what budget: declarations of imported names, then chunks that the person worked on
lately, then chunks similar to the text near the cursor. snippet_policy.py says when to choose anew.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..text.document import Document
from .chunks import Chunk, similarity, solid_lines, split_text, words
from .declarations import comment_sign
from .files import SourceFile
from .imported_names import Importer, imported_files, imported_names
from .imports import find_imports
from .index import ChunkPlace
from .recent_chunks import RecentChunks
from .sources import Library

SnippetSource = Literal["declarations", "recent", "similar"]
SOURCES: tuple[SnippetSource, ...] = get_args(SnippetSource)

# A model with 2,048 tokens of context takes 500 tokens of snippets, 1,700 characters of code, the most useful first.
# The rest is for models that read more, and for drafts, which are searched in all snippets.
BUDGET_CHARS = 4_800
# 720 missing lines of six packages: of the names in them that are nowhere else in their file, 16 % were in
# the first 1,700 characters with declarations at 30 %, of names used elsewhere too, and 20 and 30 lines of the file to
# compare with; 22 % as below (docs/decisions/0019-workspace-index.md).
SHARES: Mapping[SnippetSource, float] = {"declarations": 0.12, "recent": 0.4, "similar": 1.0}  # of the budget left
N_LINES_NEAR, N_LINES_WINDOW = 10, 15  # above and below the cursor: the question's words; the text to compare with
N_CANDIDATES = 24  # chunks of the index that are compared
MIN_SIMILARITY = 0.04
MIN_NEW_SHARE = 0.3  # of a snippet's lines that must not be in the document or in a better snippet
N_CHARS_KNOWN = 24_000  # of the document on both sides of the cursor: what the model sees anyway
MAX_RELATED_CHARS = 1_000_000
N_OPEN_COMPARED, N_CHARS_COMPARED = 8, 100_000  # open documents whose chunks are compared, and how long they may be
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place in a document, and what else is open: documents that may be shown, by uri.

    here is the document's file, None outside a workspace. label gives a uri's name for a path comment.
    """

    document: Document
    offset: int
    here: SourceFile | None
    others: Mapping[str, Document]
    label: Callable[[str], str]


@dataclass(frozen=True)
class Snippet:
    """A text and where it comes from: uri is that of an open document, None for a file on disk."""

    source: SnippetSource
    text: str
    uri: str | None = None


@dataclass(frozen=True)
class Selection:
    """Snippets, the most useful last, and the files most related to the document as (path, text)."""

    snippets: tuple[Snippet, ...] = ()
    related: tuple[tuple[str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The snippets' texts, for a request."""
        return tuple(snippet.text for snippet in self.snippets)

    @property
    def documents(self) -> frozenset[str]:
        """The open documents that snippets come from, by uri."""
        return frozenset(snippet.uri for snippet in self.snippets if snippet.uri is not None)

    def without(self, uri: str) -> "Selection":
        """The selection without texts of this open document."""
        if uri not in self.documents:
            return self
        return replace(self, snippets=tuple(snippet for snippet in self.snippets if snippet.uri != uri))


def select(
    scene: Scene,
    library: Library | None,
    recent: RecentChunks,
    off: Collection[str] = (),
    budget_chars: int = BUDGET_CHARS,
) -> Selection:
    """The best snippets for a place within budget_chars; sources named in off give none.

    library None: there is no workspace. Nothing is chosen that is already in the document near the cursor.
    """
    view = _View(scene)
    places = [] if library is None else library.index.search(view.near_words, N_CANDIDATES)
    candidates: dict[SnippetSource, Callable[[], Iterable[Snippet]]] = {
        "declarations": lambda: [] if library is None else _declared(view, library, budget_chars),
        "recent": lambda: _recent(view, recent),
        "similar": lambda: _similar(view, library, places),
    }
    chosen: list[Snippet] = []
    seen, left = view.known_lines, budget_chars
    for source in SOURCES:
        room = int(left * SHARES[source])
        for snippet in () if source in off else candidates[source]():
            lines, n_chars = solid_lines(snippet.text.partition("\n")[2]), len(snippet.text)
            if n_chars > room or len(lines - seen) < max(1, MIN_NEW_SHARE * len(lines)):
                continue
            chosen.append(snippet)
            seen, room, left = seen | lines, room - n_chars, left - n_chars
    related = () if library is None else tuple(_related(view, library, places))
    return Selection(tuple(reversed(chosen)), related)


class _View:
    """The lines and words around a place."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        document, offset = scene.document, scene.offset
        self.line = document.line_of(offset)
        near = self._lines_around(N_LINES_NEAR, N_LINES_NEAR // 4)
        self.near_words = words(near)
        self.near_names = frozenset(_IDENTIFIER.findall(near))
        self.window_words = words(self._lines_around(N_LINES_WINDOW, N_LINES_WINDOW))
        self.known_lines = solid_lines(document.text[max(0, offset - N_CHARS_KNOWN) : offset + N_CHARS_KNOWN])
        self.importer = Importer(document.text, document.language, scene.here, self.near_names)
        self.imports = find_imports(document.text, document.language)

    def _lines_around(self, n_above: int, n_below: int) -> str:
        document = self.scene.document
        start, last = max(0, self.line - n_above), min(document.line_count - 1, self.line + n_below)
        return document.text[document.line_start(start) : document.line_end(last)]


def _declared(view: _View, library: Library, budget_chars: int) -> list[Snippet]:
    """One text for each file that declares imported names near the cursor; only heads if room is short."""
    left = int(budget_chars * SHARES["declarations"])
    by_file: dict[SourceFile, list[str]] = {}
    for name in imported_names(view.importer, view.imports, library):
        heading = 0 if name.file in by_file else len(name.file.path) + 4
        whole, head = name.declaration.render(view.near_names), name.declaration.head
        text = whole if len(whole) + 1 + heading <= left else head
        if len(text) + 1 + heading <= left:
            by_file.setdefault(name.file, []).append(text)
            left -= len(text) + 1 + heading
    return [
        Snippet("declarations", _add_title(file.path, file.language, "\n".join(texts)), _uri_of(file, library))
        for file, texts in by_file.items()
    ]


def _uri_of(file: SourceFile, library: Library) -> str | None:
    """The open document of a file; None without one."""
    opened = library.open_texts.get(file)
    return None if opened is None else opened.uri


def _recent(view: _View, recent: RecentChunks) -> Iterator[Snippet]:
    scene = view.scene
    for chunk in reversed(recent.others(scene.document.uri)):
        uri = chunk.place if chunk.place in scene.others else None
        yield Snippet("recent", _add_title(scene.label(chunk.place), chunk.language, chunk.text), uri)


def _similar(view: _View, library: Library | None, places: list[ChunkPlace]) -> Iterator[Snippet]:
    """Chunks of the index and of open documents by Jaccard similarity of their words with the window's."""
    found = [*_open_chunks(view.scene), *([] if library is None else _index_chunks(view.scene, library, places))]
    ranked = sorted(
        ((similarity(words(chunk.text), view.window_words), number) for number, (chunk, _) in enumerate(found)),
        key=lambda each: (-each[0], each[1]),
    )
    for score, number in ranked:
        if score < MIN_SIMILARITY:
            return
        chunk, uri = found[number]
        yield Snippet("similar", _add_title(chunk.place, chunk.language, chunk.text), uri)


def _open_chunks(scene: Scene) -> Iterator[tuple[Chunk, str]]:
    """Chunks of open documents, each with its uri."""
    for document in list(scene.others.values())[-N_OPEN_COMPARED:]:
        for chunk in split_text(scene.label(document.uri), document.text[:N_CHARS_COMPARED]):
            yield replace(chunk, language=document.language), document.uri


def _index_chunks(scene: Scene, library: Library, places: list[ChunkPlace]) -> Iterator[tuple[Chunk, None]]:
    for place in places:
        file = place.file
        text = None if file == scene.here or file in library.open_texts else library.text(file)
        if text is not None:
            lines = text.splitlines()[place.start : place.end]
            yield Chunk(file.path, place.start, place.end, "\n".join(lines).strip("\n"), file.language), None


def _related(view: _View, library: Library, places: list[ChunkPlace]) -> Iterator[tuple[str, str]]:
    """Files for verbatim continuations: imported, in the same folder, then similar; of the same language."""
    scene = view.scene
    here = scene.here
    beside = [] if here is None else library.index.in_folder(here.root, here.folder)
    files = [*imported_files(view.importer, view.imports, library), *beside, *(place.file for place in places)]
    left = MAX_RELATED_CHARS
    for file in dict.fromkeys(files):
        if file == here or file in library.open_texts or left <= 0 or not _same_kind(file, scene.document.language):
            continue
        text = library.text(file)
        if text is not None and len(text) <= left:
            left -= len(text)
            yield file.path, text


def _same_kind(file: SourceFile, language: str) -> bool:
    def family(name: str | None) -> str:
        return (name or "").removesuffix("react").replace("typescript", "javascript").replace("cpp", "c")

    return family(file.language) == family(language)


def _add_title(path: str, language: str | None, text: str) -> str:
    """A text under a comment with its path, which must not break out of that comment."""
    name = "".join(character if character.isprintable() else "?" for character in path)
    return f"{comment_sign(language)} {name}\n{text}"
