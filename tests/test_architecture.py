"""Who may import whom: the contracts in pyproject.toml hold, and they see every file.

Beside what import-linter says: folders and pyproject.toml agree, siblings are imported relatively, and importing what
runs in an editor's process leaves torch out.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = "quicksilver"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
DATA = frozenset({"docs", "editors", "examples"})  # files to read, no code
NOT_PACKAGED = frozenset({"tests", "examples", "docs", "editors", "build", "dist", "runs"})  # hold .py files, too
PACKAGES = sorted(set(SETUPTOOLS["package-dir"].values()) - DATA)
WITHOUT_TORCH = ("cli", "fetch", "fim", "lsp_server", "serving")
HEAVY = ("torch", "transformers", "triton")


def files() -> list[Path]:
    """The code of all packages."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def linted(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    command = [sys.executable, "-P", "-c", code, "--no-cache", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_contracts_hold_and_see_every_file() -> None:
    done = linted()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    seen = grimp.build_graph(*PROJECT["tool"]["importlinter"]["root_packages"], cache_dir=None).modules
    paths = [path.relative_to(ROOT).with_suffix("").parts for path in files()]
    assert seen == {".".join([OURS, *parts]).removesuffix(".__init__") for parts in paths}


@pytest.mark.slow
def test_a_contract_that_does_not_hold_is_found(tmp_path: Path) -> None:
    """What fim imports of itself, forbidden."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["quicksilver.fim"]\n'
        '[[tool.importlinter.contracts]]\nname = "planted"\ntype = "forbidden"\n'
        'source_modules = ["quicksilver.fim.trimming"]\nforbidden_modules = ["quicksilver.fim.text"]\n'
    )
    done = linted(cwd=tmp_path)
    assert done.returncode == 1 and "planted BROKEN" in done.stdout


def test_folders_and_pyproject_agree() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in files()}
    listed = {name.removeprefix(f"{OURS}.").replace(".", "/") for name in SETUPTOOLS["packages"]}
    assert listed == folders | DATA
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)
    assert SETUPTOOLS["package-dir"] == {f"{OURS}.{name}": name for name in [*PACKAGES, *DATA]}
    roots = PROJECT["tool"]["importlinter"]["root_packages"]
    assert sorted(roots) == [f"{OURS}.{package}" for package in PACKAGES]
    at_the_top = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    with_code = {name for name in at_the_top - NOT_PACKAGED if any((ROOT / name).rglob("*.py"))}
    assert with_code == set(PACKAGES)


def test_siblings_are_imported_relatively() -> None:
    found = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            tops = {name.partition(".")[0] for name in names}
            if tops & {OURS, *PACKAGES}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    assert not found


def test_each_class_name_exists_once() -> None:
    """Aliases of types too."""
    places: dict[str, list[str]] = {}
    for path in files():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            name = node.name if isinstance(node, ast.ClassDef) else None
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.Name | ast.Attribute):
                target = node.targets[0]
                name = target.id if isinstance(target, ast.Name) and re.fullmatch("[A-Z][a-z]\\w*", target.id) else None
            if name is not None:
                places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert len(places) > 400
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_room_says_what_it_is_for() -> None:
    doors = [path for path in files() if path.name == "__init__.py"]
    assert [str(path) for path in doors if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


@pytest.mark.slow
@pytest.mark.parametrize("package", WITHOUT_TORCH)
def test_importing_the_package_leaves_torch_out(tmp_path: Path, package: str) -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join([OURS, *path.parts]).removesuffix(".__init__") for path in paths if path.name != "__main__"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = sorted({set(HEAVY)!r} & set(sys.modules))\n"
        "    if heavy: sys.exit(f'{name} loads {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
