"""The import table of docs/design.md, checked from the source text.

Owns: who may import whom, what must never be imported where, and that the folders and pyproject.toml agree.
It does not know what the modules do; except in the last test nothing of ours is imported.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = "quicksilver"
# Folders at the top that may hold .py files without being part of the distribution.
NOT_PACKAGED = frozenset({"tests", "examples", "docs", "editors", "build", "dist", "runs"})
# Folders of the distribution that hold files to read, no package.
DATA = frozenset({"docs", "editors", "examples"})

TORCH = frozenset({"torch", "transformers", "triton"})
LSP = frozenset({"pygls", "lsprotocol"})
NETWORK = frozenset(
    {"aiohttp", "asyncio.open_connection", "asyncio.open_unix_connection", "ftplib", "http", "httpx", "huggingface_hub"}
    | {"requests", "smtplib", "socket", "socketserver", "ssl", "starlette", "urllib.request", "uvicorn", "websockets"}
)
# The part of serving/ that front ends share: the client, where its engine lives, what it says about itself.
CLIENT = frozenset({"serving.client", "serving.home", "serving.wire"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the files of one folder may import.

    ours lists parts of quicksilver besides the folder itself (None: all of them). never lists other people's modules.
    late names, by file, what that one file may import all the same, but only inside functions.
    """

    ours: frozenset[str] | None = frozenset()
    never: frozenset[str] = frozenset()
    late: Mapping[str, frozenset[str]] = field(default_factory=dict)


RULES: Mapping[str, Rule] = {
    "fim": Rule(never=TORCH | LSP | NETWORK),
    "fetch": Rule(ours=frozenset({"fim", "model", "lsp_server.waiting"}), never=TORCH | LSP),
    "kernels": Rule(never=frozenset({"transformers"}) | LSP | NETWORK),
    "model": Rule(ours=frozenset({"fim", "kernels"}), never=LSP | NETWORK),
    "published": Rule(
        ours=frozenset({"fim", "kernels", "model"}),
        never=frozenset({"transformers"}) | LSP | NETWORK,
        late={"diffusion_gemma.py": frozenset({"transformers"})},
    ),
    "training": Rule(ours=frozenset({"fim", "kernels", "model"}), never=LSP),
    "serving": Rule(
        ours=frozenset({"fim"}),
        never=TORCH | LSP,
        late={name: frozenset({"model", "published", "torch", "triton"}) for name in ("command.py", "loading.py")},
    ),
    "lsp_server": Rule(
        ours=CLIENT | {"fim"},
        never=TORCH,
        late={"cli.py": frozenset({"fetch", "training", "benchmarks", "serving.command", "serving.stopping"})},
    ),
    "arena": Rule(ours=CLIENT | {"fim"}, never=TORCH),
    "editors": Rule(never=TORCH | LSP),
    "benchmarks": Rule(ours=None),
}
TORCH_FREE = ("fetch", "fim", "serving", "lsp_server", "arena")


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported name: target is dotted and absolute, e.g. quicksilver.fim.types.Hole or torch.nn."""

    target: str
    line: int
    relative: bool
    in_function: bool


class ImportCollector(ast.NodeVisitor):
    """Collects every import of one file: statements, and import_module / __import__ with a literal name."""

    def __init__(self, folder: str) -> None:
        self.package = [OURS, folder]
        self.found: list[Import] = []
        self.depth = 0

    def add(self, name: str, line: int, level: int) -> None:
        """Record name, which had level leading dots."""
        parents = self.package[: len(self.package) + 1 - level] if level else []
        target = ".".join([*parents, name]) if level <= len(self.package) else f"{'.' * level}{name}"
        self.found.append(Import(target=target, line=line, relative=level > 0, in_function=self.depth > 0))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node.lineno, 0)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.add(".".join(filter(None, [node.module, alias.name])), node.lineno, node.level)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0] if node.args else None
        if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
            name = str(first.value)
            self.add(name.lstrip("."), node.lineno, len(name) - len(name.lstrip(".")))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815


def within(target: str, names: frozenset[str]) -> bool:
    """Whether target is one of names or lies below one."""
    return any(target == name or target.startswith(f"{name}.") for name in names)


def fault(imported: Import, folder: str, file: str) -> str | None:
    """Why this import breaks the table, or None."""
    rule = RULES[folder]
    target = imported.target
    top, _, inner = target.partition(".")
    if target.startswith("."):
        return "leaves the package: `..` is quicksilver, there is nothing above"
    if not imported.relative and top == OURS:
        return "siblings are imported relatively, as in `from ..fim.types import Hole`"
    if not imported.relative and top in RULES:
        return f"the folder {top}/ is called {OURS}.{top}: import it relatively"
    late = within(inner if top == OURS else target, rule.late.get(file, frozenset()))
    if late:
        return None if imported.in_function else f"{folder}/{file} may import it inside functions only"
    if top == OURS:
        allowed = rule.ours is None or within(inner, rule.ours | {folder})
        may = ", ".join(sorted(rule.ours or ())) or "nothing of ours"
        return None if allowed else f"{folder}/ may import: {may}"
    return f"{folder}/ must never import it" if within(target, rule.never) else None


def import_violations(root: Path) -> list[str]:
    """One line for each import under root that breaks the table: file:line, the name, the reason."""
    found: list[str] = []
    for folder in RULES:
        for path in sorted((root / folder).rglob("*.py")):
            collector = ImportCollector(folder)
            collector.visit(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
            for imported in collector.found:
                if reason := fault(imported, folder, path.name):
                    found.append(f"{path.relative_to(root)}:{imported.line}: {imported.target}: {reason}")
    return found


def code_folders(root: Path) -> Iterator[Path]:
    """Folders at the top of root that hold Python files and belong to the distribution."""
    for folder in sorted(root.iterdir()):
        skipped = folder.name in NOT_PACKAGED or folder.name.startswith((".", "__"))
        if folder.is_dir() and not skipped and any(folder.rglob("*.py")):
            yield folder


def folder_violations(root: Path) -> list[str]:
    """One line for each disagreement between pyproject.toml, the folders and the table."""
    setuptools = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed, mapped = set(setuptools["packages"]), setuptools["package-dir"]
    found = [f"pyproject.toml: package-dir and packages differ in {name}" for name in sorted(listed ^ set(mapped))]
    for name, folder in sorted(mapped.items()):
        if name != f"{OURS}.{folder}":
            found.append(f"pyproject.toml: {name} is mapped onto {folder}/")
        if folder not in DATA and not (root / folder / "__init__.py").is_file():
            found.append(f"pyproject.toml: {name} is listed but {folder}/__init__.py does not exist")
    for folder in code_folders(root):
        if f"{OURS}.{folder.name}" not in listed:
            found.append(f"{folder.name}/: holds Python files but is not listed in pyproject.toml")
        if folder.name not in RULES:
            found.append(f"{folder.name}/: has no rule in tests/test_architecture.py")
        nested = {path.parent.relative_to(root) for path in folder.glob("*/**/*.py")}
        found += [f"{path}/: packages are flat, no Python files below the folder" for path in sorted(nested)]
    return found


def test_imports_follow_the_table() -> None:
    assert not import_violations(ROOT), "\n" + "\n".join(import_violations(ROOT))


def test_folders_and_pyproject_agree() -> None:
    assert not folder_violations(ROOT), "\n" + "\n".join(folder_violations(ROOT))


PLANTED = [
    ("fim/a.py", "import torch.nn", "torch.nn: fim/ must never"),
    ("fim/a.py", "from urllib.request import urlopen", "urllib.request.urlopen: fim/ must never"),
    ("fim/a.py", "from ..model import cache", "fim/ may import: nothing of ours"),
    ("fim/a.py", "from ...fim import types", "leaves the package"),
    ("model/a.py", "from quicksilver.fim.types import Hole", "imported relatively"),
    ("model/a.py", "from kernels import norm", "is called quicksilver.kernels"),
    ("model/a.py", "def f():\n    from ..training import loss", "model/a.py:2: quicksilver.training.loss"),
    ("serving/a.py", "def f():\n    from ..model import loop", "serving/ may import: fim"),
    ("serving/command.py", "from ..model import loop", "inside functions only"),
    ("serving/client.py", "def f():\n    import torch", "serving/ must never"),
    ("lsp_server/a.py", "import importlib\nimportlib.import_module('torch')", "torch: lsp_server/ must never"),
    ("lsp_server/a.py", "import importlib\nimportlib.import_module('..model', 'x')", "quicksilver.model: lsp_server/"),
    ("lsp_server/a.py", "def f():\n    from ..serving import command", "lsp_server/ may import: fim, serving.client"),
    ("lsp_server/cli.py", "from ..benchmarks import latency", "inside functions only"),
    ("lsp_server/cli.py", "def f():\n    from ..model import loop", "lsp_server/ may import"),
    ("training/a.py", "class A:\n    import pygls.server", "training/ must never"),
    ("arena/a.py", "if True:\n    import torch", "arena/ must never"),
    ("editors/nvim/a.py", "from ..fim import types", "editors/ may import: nothing of ours"),
]


@pytest.mark.parametrize(("file", "source", "expected"), PLANTED)
def test_a_planted_import_is_found(tmp_path: Path, file: str, source: str, expected: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    found = import_violations(tmp_path)
    assert len(found) == 1, found
    assert expected in found[0]


ALLOWED = [
    ("fim/a.py", "import urllib.parse\nfrom .types import Hole\nfrom . import types"),
    ("model/a.py", "import torch\nfrom ..fim.types import Hole\nfrom .. import kernels"),
    ("serving/command.py", "async def f():\n    import torch\n    from ..model.loop import run"),
    ("lsp_server/cli.py", "def f():\n    from ..serving.command import serve\n    from ..training import command"),
    ("lsp_server/a.py", "from ..serving.client import connect\nfrom ..serving import client\nimport pygls"),
    ("benchmarks/a.py", "import torch\nfrom ..model import loop\nfrom ..lsp_server import server"),
]


@pytest.mark.parametrize(("file", "source"), ALLOWED)
def test_an_allowed_import_is_not_found(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert import_violations(tmp_path) == []


def test_planted_folders_are_found(tmp_path: Path) -> None:
    for name in ("fim/__init__.py", "fim/deep/__init__.py", "stray/a.py", "tests/test_a.py", ".hidden/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.setuptools]\npackages = ["quicksilver.fim", "quicksilver.gone"]\n'
        '[tool.setuptools.package-dir]\n"quicksilver.fim" = "fim"\n"quicksilver.gone" = "gone"\n'
    )
    assert folder_violations(tmp_path) == [
        "pyproject.toml: quicksilver.gone is listed but gone/__init__.py does not exist",
        "fim/deep/: packages are flat, no Python files below the folder",
        "stray/: holds Python files but is not listed in pyproject.toml",
        "stray/: has no rule in tests/test_architecture.py",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("folder", TORCH_FREE)
def test_importing_the_folder_leaves_torch_out(tmp_path: Path, folder: str) -> None:
    modules = sorted(path.stem for path in (ROOT / folder).glob("*.py") if path.stem != "__main__")
    if not modules:
        pytest.skip(f"{folder}/ does not exist yet")
    names = [f"{OURS}.{folder}" if stem == "__init__" else f"{OURS}.{folder}.{stem}" for stem in modules]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = sorted({set(TORCH)!r} & set(sys.modules))\n"
        "    if heavy: sys.exit(f'{name} loads {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
