"""A workspace of many Python files that look like people's: pieces of real modules, shuffled and renamed."""

import ast
import random
import sysconfig
from collections.abc import Sequence
from pathlib import Path

N_LINES = (150, 300)
N_IN_PACKAGE = 50  # files of one package
N_PIECES_FROM = 160  # modules of the standard library that pieces are taken from
MAX_PIECE_LINES = 80
_SEED = 7


def write_workspace(folder: Path, n_files: int, seed: int = _SEED) -> list[Path]:
    """Write n files, in packages, each importing names from others. Returns them; their bytes depend on seed."""
    chance = random.Random(seed)
    pieces = _pieces()
    (folder / ".gitignore").write_text("*.log\n/build/\n", encoding="utf-8")
    files: list[Path] = []
    names: list[tuple[str, str]] = []  # module, name
    for number in range(n_files):
        package = folder / f"package_{number // N_IN_PACKAGE}"
        if number % N_IN_PACKAGE == 0:
            package.mkdir()
            (package / "__init__.py").write_text("", encoding="utf-8")
        path = package / f"module_{number}.py"
        text, declared = _module(pieces, names, number, chance)
        path.write_text(text, encoding="utf-8")
        files.append(path)
        names = [*names, *((f"{package.name}.{path.stem}", name) for name in declared)][-400:]
    return files


def _module(
    pieces: Sequence[tuple[str, str]], names: Sequence[tuple[str, str]], number: int, chance: random.Random
) -> tuple[str, list[str]]:
    """The text of a file, and the names that it declares."""
    imported = chance.sample(names, min(4, len(names)))
    parts = [f'"""Module {number}."""', "\n".join(f"from {module} import {name}" for module, name in imported)]
    declared: list[str] = []
    n_lines, wanted = 8, chance.randint(*N_LINES)
    while n_lines < wanted:
        name, text = chance.choice(pieces)
        renamed = f"{name}_{number}"
        parts.append(text.replace(name, renamed))
        declared.append(renamed)
        n_lines += text.count("\n") + 3
    return "\n\n\n".join(parts) + "\n", declared


def _pieces() -> list[tuple[str, str]]:
    """Name and text of top-level functions and classes of the standard library that are not long."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found: list[tuple[str, str]] = []
    for path in sorted(library.glob("*.py"))[:N_PIECES_FROM]:
        source = path.read_text(encoding="utf-8", errors="replace")
        lines = source.split("\n")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                text = _text_of(node, lines)
                if 4 <= text.count("\n") <= MAX_PIECE_LINES:
                    found.append((node.name, text))
    return found


def _text_of(node: ast.FunctionDef | ast.ClassDef, lines: Sequence[str]) -> str:
    """As ast.get_source_segment has it, which splits the whole source anew for each node; node starts its line."""
    assert node.end_lineno is not None
    *whole, last = lines[node.lineno - 1 : node.end_lineno]
    return "\n".join([*whole, last.encode()[: node.end_col_offset].decode()])
