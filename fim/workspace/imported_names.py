"""The declarations of what a document imports, found in its workspace: those of names near the cursor.

Follows an import to a declaration, through modules that only re-export a name, and limits how much of the workspace is
read for it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from .declarations import Declaration
from .files import SourceFile
from .imports import Import, files_of, find_imports
from .sources import Library

N_PASSED_ON_MAX = 3  # modules that a name may come through
N_FILES_READ_MAX = 40  # for one document: the library remembers more, so none is read twice
N_LOOKS_MAX = 1_000  # lookups of imported files, for one document
N_CHARS_USES = 60_000  # of the document that are searched for attributes of modules
N_PARTS_MAX = 6  # of a module's name with dots
_DOTTED_NAME = re.compile(r"[^\W\d]\w*+(?:\.[^\W\d]\w*+)*+")


@dataclass(frozen=True)
class ImportedName:
    """A declaration that the document can use near the cursor, and its file."""

    file: SourceFile
    declaration: Declaration


@dataclass(frozen=True)
class Importer:
    """A document that imports: its text, language, place (None: in no workspace) and the words near its cursor."""

    text: str
    language: str
    here: SourceFile | None
    near: Collection[str]


def imported_names(importer: Importer, imports: Collection[Import], library: Library) -> list[ImportedName]:
    """The declarations of imported names near the cursor, in the document's order; not all if that takes long."""
    search = _Search(importer, library)
    found = [name for wanted in imports for name in search.of_import(wanted)]
    return list({(name.file, name.declaration.name): name for name in found}.values())


def imported_files(importer: Importer, imports: Collection[Import], library: Library) -> list[SourceFile]:
    """The files that a document imports, each once, in its order."""
    found: dict[SourceFile, None] = {}
    for wanted in imports:
        for file in files_of(wanted, importer.here, importer.language, library.index):
            found[file] = None
        for submodule in _submodules(wanted):
            for file in files_of(submodule, importer.here, importer.language, library.index):
                found[file] = None
    return [file for file in found if file != importer.here]


class _Search:
    """One document's search. It remembers each file, so that modules that import each other are read once."""

    def __init__(self, importer: Importer, library: Library) -> None:
        self._importer, self._library = importer, library
        self._used = _attributes_used(importer.text[:N_CHARS_USES])
        self._declared: dict[SourceFile, Mapping[str, Declaration]] = {}
        self._taken: dict[SourceFile, dict[str, list[tuple[str, Import]]]] = {}
        self._n_looks = 0

    def of_import(self, wanted: Import) -> Iterator[ImportedName]:
        """The declarations near the cursor that one import leads to."""
        if not wanted.names:
            yield from self._used_of_module(wanted, wanted.alias or wanted.module)
            return
        files = self._files_of(wanted, self._importer.here, self._importer.language)
        for name, alias in wanted.names:
            near = alias in self._importer.near
            declared = next((d for file in files if (d := self._find(name, file))), None) if near else None
            if declared is not None:
                yield ImportedName(*declared)
                continue
            for submodule in _submodules(Import(wanted.module, wanted.level, ((name, alias),))):
                yield from self._used_of_module(submodule, alias)

    def _find(self, name: str, file: SourceFile) -> tuple[SourceFile, Declaration] | None:
        """The declaration of a module's name: there, or in the nearest module that it comes from."""
        places = {(name, file): None}
        seen = dict(places)
        for _ in range(N_PASSED_ON_MAX + 1):
            for own_name, module in places:
                declared = self._declarations(module).get(own_name)
                if declared is not None:
                    return module, declared
            places = dict.fromkeys(source for place in places for source in self._sources(*place))
            places = {place: None for place in places if place not in seen}
            seen |= places
        return None

    def _sources(self, name: str, file: SourceFile) -> Iterator[tuple[str, SourceFile]]:
        """The modules that a module may import a name from, each with the name there."""
        for original, passed in self._taken_by(file).get(name, ()):
            for other in self._files_of(passed, file, file.language or ""):
                yield original, other

    def _used_of_module(self, wanted: Import, alias: str) -> Iterator[ImportedName]:
        """The declarations of a module that the document uses as its attributes near the cursor."""
        used = [name for name in self._used.get(alias, ()) if name in self._importer.near]
        for file in self._files_of(wanted, self._importer.here, self._importer.language) if used else ():
            declared = self._declarations(file)
            yield from (ImportedName(file, declared[name]) for name in used if name in declared)

    def _files_of(self, wanted: Import, here: SourceFile | None, language: str) -> list[SourceFile]:
        self._n_looks += 1
        return files_of(wanted, here, language, self._library.index) if self._n_looks <= N_LOOKS_MAX else []

    def _declarations(self, file: SourceFile) -> Mapping[str, Declaration]:
        if file not in self._declared and len(self._declared) < N_FILES_READ_MAX:
            self._declared[file] = self._library.declarations(file)
        return self._declared.get(file, {})

    def _taken_by(self, file: SourceFile) -> Mapping[str, list[tuple[str, Import]]]:
        """What a module imports, by the name in the module: the original name, and the import."""
        if file not in self._taken:
            text = self._library.current_text(file) if file in self._declared else None
            taken = self._taken[file] = {}
            for passed in () if text is None else find_imports(text, file.language or ""):
                for theirs, ours in passed.names:
                    taken.setdefault(ours, []).append((theirs, passed))
        return self._taken[file]


def _attributes_used(text: str) -> Mapping[str, dict[str, None]]:
    """The attributes in a text, by the dotted name before them."""
    used: dict[str, dict[str, None]] = {}
    for chain in _DOTTED_NAME.findall(text):
        parts = chain.split(".")
        for end in range(1, len(parts)):
            for start in range(max(0, end - N_PARTS_MAX), end):
                used.setdefault(".".join(parts[start:end]), {})[parts[end]] = None
    return used


def _submodules(wanted: Import) -> list[Import]:
    """The imports that an import means if its names are modules."""
    base = f"{wanted.module}." if wanted.module else ""
    return [Import(base + name, wanted.level, alias=alias) for name, alias in wanted.names]
