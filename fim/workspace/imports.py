"""What a document imports, read from its lines, and which files of a workspace that may mean.

Owns import statements (Python; paths in quotes of JavaScript, TypeScript, C and C++; Java's names) and where to search
for a module. It reads lines, not trees, so that it works on unfinished code.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from .files import SourceFile
from .index import WorkspaceIndex

MAX_CHARS = 500_000  # of a document that are searched for imports
N_IMPORTS_MAX = 100
N_NAMES_MAX = 200  # of one import
N_CHARS_NAME = 200  # of a module or a name; longer ones do not count
N_FILES_MAX = 2  # that one import may mean
# Linear in any text: no two neighbouring parts match the same character, and what spans lines ends where the next
# statement of its kind begins (tests/fim/test_hostile_text.py).
_PYTHON = re.compile(
    r"^[ \t]*+(?:from[ \t]++(?P<dots>\.*+)(?P<module>(?:\w[\w.]*+)?)[ \t]++import[ \t]*+(?P<names>\([^()]*\)|[^\n(]+)"
    r"|import[ \t]++(?P<modules>[^\n]+))",
    re.MULTILINE,
)
_SCRIPT = re.compile(
    r"""^[ \t]*+(?:import|export)\b(?P<names>(?:[^'";\n]|\n(?![ \t]*+(?:import|export)\b)){0,2000}?)"""
    r"""\bfrom[ \t]*+['"](?P<path>\.[^'"\n]+)['"]"""
    r"""|\bimport[ \t]++['"](?P<bare>\.[^'"\n]+)['"]"""
    r"""|^[ \t]*+(?:const|let|var)\b(?P<required>(?:[^=;\n]|\n(?![ \t]*+(?:const|let|var)\b)){0,500}+)"""
    r"""=[ \t]*+require\(['"](?P<module>\.[^'"\n]+)['"]\)""",
    re.MULTILINE,
)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"(?P<path>[^"\n]+)"', re.MULTILINE)
_JAVA = re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?(?P<module>[\w.]+)[ \t]*;", re.MULTILINE)
_SCRIPTS = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"})
_SCRIPT_ENDINGS = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts", "/index.ts", "/index.tsx", "/index.js")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_COMMENT_OR_BACKSLASH = re.compile(r"#[^\n]*|\\")


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name (or its path), the dots before it, and the names imported from it.

    names are pairs of the name in the module and the name in the document; () means the whole module, which the
    document calls alias.
    """

    module: str
    level: int = 0
    names: tuple[tuple[str, str], ...] = ()
    alias: str = ""


def find_imports(text: str, language: str) -> tuple[Import, ...]:
    """The imports of a document, in its order, at most N_IMPORTS_MAX; () for an unsupported language."""
    text = text[:MAX_CHARS]
    if language == "python":
        found = _python_imports(text)
    elif language in _SCRIPTS:
        found = _script_imports(text)
    elif language in ("c", "cpp"):
        found = (Import(match["path"]) for match in _INCLUDE.finditer(text))
    elif language == "java":
        found = (_java_import(match["module"]) for match in _JAVA.finditer(text))
    else:
        return ()
    short = (each for each in found if len(each.module) <= N_CHARS_NAME)
    return tuple(islice(short, N_IMPORTS_MAX))


def files_of(wanted: Import, here: SourceFile | None, language: str, index: WorkspaceIndex) -> list[SourceFile]:
    """The workspace's files that an import may mean, the likeliest first, at most N_FILES_MAX.

    here is the importing file, None for a document outside the workspace.
    """
    if language == "python":
        found = _python_files(wanted, here, index)
    elif language in _SCRIPTS:
        found = [] if here is None else _below(here, [_resolve(here.folder, wanted.module)], _SCRIPT_ENDINGS, index)
    elif language == "java":
        found = index.named(f"{wanted.module.replace('.', '/')}.java")
    else:
        beside = [] if here is None else _below(here, [_resolve(here.folder, wanted.module)], ("",), index)
        found = beside or index.named(wanted.module.lstrip("./"))
    return _nearest(found, here)[:N_FILES_MAX]


def _python_imports(text: str) -> Iterator[Import]:
    for match in _PYTHON.finditer(text):
        if match["modules"] is not None:
            for part in _without_comment(match["modules"]).split(","):
                module, alias = _split_alias(part)
                if module:
                    yield Import(module, alias=alias)
            continue
        parts = _without_comment(match["names"]).strip("() \t\n\r").split(",")[:N_NAMES_MAX]
        kept = tuple((name, alias) for name, alias in map(_split_alias, parts) if name and name != "*")
        if kept:
            yield Import(match["module"], len(match["dots"]), kept)


def _script_imports(text: str) -> Iterator[Import]:
    for match in _SCRIPT.finditer(text):
        path = match["path"] or match["bare"] or match["module"]
        names = _NAME.findall(match["names"] or match["required"] or "")[:N_NAMES_MAX]
        yield Import(path, names=tuple((name, name) for name in names if name not in ("type", "as", "default")))


def _java_import(module: str) -> Import:
    name = module.rpartition(".")[2]
    return Import(module, names=((name, name),))


def _without_comment(text: str) -> str:
    return _COMMENT_OR_BACKSLASH.sub("", text).partition(";")[0]


def _split_alias(part: str) -> tuple[str, str]:
    """A name and its new name, from `name` or `name as other`; two empty ones for anything else."""
    pieces = part.split(maxsplit=4)
    if any(len(piece) > N_CHARS_NAME for piece in pieces):
        return "", ""
    if len(pieces) == 3 and pieces[1] == "as":
        return pieces[0], pieces[2]
    return (pieces[0], pieces[0]) if len(pieces) == 1 else ("", "")


def _python_files(wanted: Import, here: SourceFile | None, index: WorkspaceIndex) -> list[SourceFile]:
    parts = [part for part in wanted.module.split(".") if part]
    if wanted.level:
        return [] if here is None else _relative_files(wanted, parts, here, index)
    if not parts:
        return []
    found = _module_files(parts, index)
    known = sys.stdlib_module_names
    if not found and len(parts) > 2 and parts[0] not in known:  # the package's name may differ from its folder's
        found = _module_files(parts[1:], index)
    return found


def _relative_files(wanted: Import, parts: list[str], here: SourceFile, index: WorkspaceIndex) -> list[SourceFile]:
    folders = here.folder.split("/") if here.folder else []
    if wanted.level - 1 > len(folders):
        return []
    base = "/".join([*folders[: len(folders) - wanted.level + 1], *parts])
    return _below(here, [base], (".py", ".pyi", "/__init__.py"), index)


def _module_files(parts: list[str], index: WorkspaceIndex) -> list[SourceFile]:
    """Files of a module by its full name, if its package is not inside another package."""
    path = "/".join(parts)
    found = index.named(f"{path}.py", f"{path}.pyi", f"{path}/__init__.py")
    return [file for file in found if not _is_inside_package(file, path, index)]


def _is_inside_package(file: SourceFile, module_path: str, index: WorkspaceIndex) -> bool:
    above = f"/{file.path}".rpartition(f"/{module_path}")[0].strip("/")
    return bool(above) and SourceFile(file.root, f"{above}/__init__.py") in index


def _below(here: SourceFile, paths: list[str], endings: tuple[str, ...], index: WorkspaceIndex) -> list[SourceFile]:
    tried = (SourceFile(here.root, f"{path}{ending}".lstrip("/")) for path in paths for ending in ("", *endings))
    return list(dict.fromkeys(file for file in tried if file in index))


def _resolve(folder: str, path: str) -> str:
    """A path that a file in folder names; one that leads out of the root matches nothing."""
    parts = folder.split("/") if folder else []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return "/"
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _nearest(files: list[SourceFile], here: SourceFile | None) -> list[SourceFile]:
    """Files by how much of their folder they share with here; of equals, shorter paths first."""
    if here is None:
        return sorted(files, key=lambda file: len(file.path))
    return sorted(files, key=lambda file: (-_n_shared(file, here), len(file.path)))


def _n_shared(file: SourceFile, here: SourceFile) -> int:
    if file.root != here.root:
        return -1
    pairs = zip(file.path.split("/"), here.path.split("/"), strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(file.path))
