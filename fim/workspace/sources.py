"""The texts of a workspace as a selection of snippets sees them: the index, fresh text, declarations.

Reads a file again when its text is wanted (the editor's text if it is open) and remembers the last ones. Not
thread-safe.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping

from ..text.document import Document
from .declarations import Declaration, find_declarations
from .files import SourceFile, Stamp, WalkLimits, read_source, stamp_of
from .index import WorkspaceIndex

N_TEXTS, N_PARSED = 48, 96  # remembered: a selection reads that many files
COSTLY_S, N_COSTLY_MAX = 1.5, 5  # a file that takes that long to parse is hostile; after that many, none is parsed


class Library:
    """Texts of the files of an index. open_texts holds the editor's texts of open ones."""

    def __init__(self, index: WorkspaceIndex, limits: WalkLimits | None = None) -> None:
        self.index = index
        self.open_texts: Mapping[SourceFile, Document] = {}
        self._max_bytes = (limits or WalkLimits()).max_file_bytes
        self._n_costly = 0
        self._texts: OrderedDict[SourceFile, tuple[str, Stamp]] = OrderedDict()
        self._parsed: OrderedDict[SourceFile, tuple[object, dict[str, Declaration]]] = OrderedDict()

    def text(self, file: SourceFile) -> str | None:
        """The text of an indexed file in its indexed state; None if it has changed since."""
        known, remembered = self.index.stamp(file), self._texts.get(file)
        if known is None or stamp_of(file) != known:
            return None
        if remembered is None or remembered[1] != known:
            remembered = read_source(file, self._max_bytes)
        if remembered is None or remembered[1] != known:
            return None
        _remember(self._texts, file, remembered, N_TEXTS)
        return remembered[0]

    def current_text(self, file: SourceFile) -> str | None:
        """The text of an indexed file, the editor's if it is open."""
        opened = self.open_texts.get(file)
        return self.text(file) if opened is None else opened.text

    def declarations(self, file: SourceFile) -> dict[str, Declaration]:
        """What a file declares; {} for one that cannot be read."""
        text = self.current_text(file)
        if text is None or file.language is None:
            return {}
        remembered = self._parsed.get(file)
        if remembered is None or remembered[0] != hash(text):
            started_s = time.perf_counter()
            declared = find_declarations(text, file.language) if self._n_costly < N_COSTLY_MAX else {}
            self._n_costly += time.perf_counter() - started_s > COSTLY_S
            remembered = (hash(text), declared)
        _remember(self._parsed, file, remembered, N_PARSED)
        return remembered[1]


def _remember(kept: OrderedDict[SourceFile, tuple], file: SourceFile, value: tuple, n_max: int) -> None:
    kept[file] = value
    kept.move_to_end(file)
    while len(kept) > n_max:
        kept.popitem(last=False)
