"""The declarations of what a document imports, found in its workspace: which, and of those which are wanted first.

Owns the way from an import to a declaration, through modules that only pass a name on. It does not know budgets.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .declarations import Declaration
from .imports import Import, files_of, find_imports
from .library import Library
from .workspace_files import SourceFile

N_PASSED_ON_MAX = 3  # modules that a name may come through
N_CHARS_USES = 60_000  # of the document that are searched for attributes of modules
_ATTRIBUTE = r"\b{}\.([A-Za-z_]\w*)"


@dataclass(frozen=True)
class ImportedName:
    """A declaration that the document can use: where it stands, and whether its name stands near the cursor."""

    file: SourceFile
    declaration: Declaration
    is_near: bool


@dataclass(frozen=True)
class Importer:
    """A document that imports: its text, language, place (None: in no workspace) and the words near its cursor."""

    text: str
    language: str
    here: SourceFile | None
    near: Collection[str]


def imported_names(importer: Importer, imports: Collection[Import], library: Library) -> list[ImportedName]:
    """The declarations of imported names, those near the cursor first, else in the document's order."""
    found = [name for wanted in imports for name in _of_import(importer, wanted, library)]
    unique = {(name.file, name.declaration.name): name for name in reversed(found)}
    ordered = [unique[key] for key in reversed(unique)]
    return sorted(ordered, key=lambda name: not name.is_near)


def imported_files(importer: Importer, imports: Collection[Import], library: Library) -> list[SourceFile]:
    """The files that a document's imports mean, each once, in its order."""
    found: dict[SourceFile, None] = {}
    for wanted in imports:
        for file in files_of(wanted, importer.here, importer.language, library.index):
            found[file] = None
        for submodule in _submodules(wanted):
            for file in files_of(submodule, importer.here, importer.language, library.index):
                found[file] = None
    return [file for file in found if file != importer.here]


def _of_import(importer: Importer, wanted: Import, library: Library) -> Iterator[ImportedName]:
    files = files_of(wanted, importer.here, importer.language, library.index)
    if not wanted.names:
        alias = wanted.alias or wanted.module
        for file in files:
            yield from _used_of_module(importer, alias, file, library)
        return
    for name, alias in wanted.names:
        declared = next((d for file in files if (d := _find(name, file, library, N_PASSED_ON_MAX))), None)
        if declared is not None:
            yield ImportedName(*declared, alias in importer.near)
            continue
        for submodule in _submodules(Import(wanted.module, wanted.level, ((name, alias),))):
            for file in files_of(submodule, importer.here, importer.language, library.index):
                yield from _used_of_module(importer, alias, file, library)


def _find(name: str, file: SourceFile, library: Library, n_left: int) -> tuple[SourceFile, Declaration] | None:
    """Where a name is declared that a module has: there, or in a module that it takes the name from."""
    declared = library.declarations(file).get(name)
    if declared is not None:
        return file, declared
    text = library.current_text(file)
    if n_left == 0 or text is None or file.language is None:
        return None
    for passed in find_imports(text, file.language):
        original = next((theirs for theirs, ours in passed.names if ours == name), None)
        for other in [] if original is None else files_of(passed, file, file.language, library.index):
            found = _find(original or name, other, library, n_left - 1)
            if found is not None:
                return found
    return None


def _used_of_module(importer: Importer, alias: str, file: SourceFile, library: Library) -> Iterator[ImportedName]:
    """The declarations of a module that the document names as attributes of it."""
    used = dict.fromkeys(re.findall(_ATTRIBUTE.format(re.escape(alias)), importer.text[:N_CHARS_USES]))
    if used:
        declared = library.declarations(file)
        for name in used:
            if name in declared:
                yield ImportedName(file, declared[name], name in importer.near)


def _submodules(wanted: Import) -> list[Import]:
    """What an import may mean if the names that it takes are modules."""
    base = f"{wanted.module}." if wanted.module else ""
    return [Import(base + name, wanted.level, alias=alias) for name, alias in wanted.names]
