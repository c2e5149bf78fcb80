"""What the wheel holds, compared with the tree it was built from.

The wheel is built offline from a copy of the tree, by the installed setuptools.
"""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from quicksilver.fim.syntax.grammars import GRAMMARS

ROOT = Path(__file__).resolve().parent.parent
OURS = "quicksilver"
EXTRAS = ("gpu", "bench", "train", "diffusion-gemma")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What a checkout may gather in its folders and no wheel should hold.
LITTER = ("__pycache__", "node_modules", "*.pyc", "*.egg-info", "*.log", "*.tmp", "runs")


DATA_FOLDERS = ("docs", "editors", "examples")


def package_folders() -> list[str]:
    """The folders that pyproject.toml maps onto packages."""
    return sorted(SETTINGS["tool"]["setuptools"]["package-dir"].values())


# What of the folders that are no packages is installed: the demo's files, the plugins and the pages to read.
DATA = ("docs/*.md", "docs/decisions/*.md", "editors/emacs/*.el", "editors/*/README.md", "editors/nvim/**/*")
NOT_INSTALLED = ("editors/vscode/README.md",)


def data_files() -> list[Path]:
    """Files to install that are no Python modules."""
    found = [
        path
        for pattern in (*DATA, "examples/*.toml", "examples/*.lua")
        for path in ROOT.glob(pattern)
        if path.is_file()
    ]
    return [path for path in found if path.relative_to(ROOT).as_posix() not in NOT_INSTALLED]


def expected_files() -> set[str]:
    """Paths inside the wheel that the tree calls for, metadata aside."""
    found = {f"{OURS}/{path.relative_to(ROOT).as_posix()}" for path in data_files()}
    for folder in package_folders():
        files = [*(ROOT / folder).glob("*.py" if folder in DATA_FOLDERS else "**/*.py")]
        if folder == "model":
            files += [path for path in (ROOT / folder).glob("checkpoints/*/*") if path.is_file()]
        if folder == "serving":
            page = ROOT / folder / "api" / "playground"
            files += [page / "examples.toml", *(page / "static").iterdir()]
        if folder == "training":
            files += [*(ROOT / folder).glob("*/*.txt"), *(ROOT / folder).glob("*/*.toml")]
        found |= {f"{OURS}/{path.relative_to(ROOT).as_posix()}" for path in files}
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of a copy of the tree, tests and docs included, so that they could slip in."""
    work = tmp_path_factory.mktemp("wheel")
    tree, out = work / "tree", work / "out"
    tree.mkdir()
    for name in [*package_folders(), "tests"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns(*LITTER))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata_folder() -> str:
    """The wheel's folder of metadata."""
    return f"{SETTINGS['project']['name'].replace('-', '_')}-{SETTINGS['project']['version']}.dist-info/"


def metadata(wheel: zipfile.ZipFile) -> Message:
    """The wheel's METADATA headers."""
    return Parser().parsestr(wheel.read(metadata_folder() + "METADATA").decode())


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    code = {name for name in wheel.namelist() if not name.startswith(metadata_folder())}
    assert len(code) > len(package_folders())
    missing, surplus = expected_files() - code, code - expected_files()
    assert (sorted(missing), sorted(surplus)) == ([], [])


def test_the_only_import_name_is_ours(wheel: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in wheel.namelist()} == {OURS, metadata_folder().rstrip("/")}


def test_checkpoints_in_the_wheel_are_whole(wheel: zipfile.ZipFile) -> None:
    folders = [path for path in (ROOT / "model" / "checkpoints").glob("*") if path.is_dir()]
    if not folders:
        pytest.skip("no checkpoint in the tree")
    for folder in folders:
        for path in folder.iterdir():
            assert wheel.read(f"{OURS}/model/checkpoints/{folder.name}/{path.name}") == path.read_bytes()


def test_the_command_is_installed(wheel: zipfile.ZipFile) -> None:
    entries = ConfigParser()
    entries.read_string(wheel.read(metadata_folder() + "entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"quicksilver": "quicksilver.cli.main:main"}


def test_the_demo_and_the_plugins_work_from_the_wheel_in_another_folder(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    wheel.extractall(installed)
    elsewhere.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    code = (
        "from quicksilver.benchmarks.speed import latency, nvim_latency, throughput\n"
        "from quicksilver.cli.main import main\n"
        "from quicksilver.cli.demo import EXAMPLES\n"
        "from quicksilver.cli.demo_holes import load_holes\n"
        "assert len(load_holes(EXAMPLES)) >= 6\n"
        "assert latency.EXAMPLE.is_file() and list(throughput.EXAMPLES.glob('*.py'))\n"
        "assert nvim_latency.PLUGIN.is_dir()\n"
        "for editor in ('nvim', 'emacs'): main(['editors', editor, '--path'])\n"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=elsewhere, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    folders = [Path(line) for line in done.stdout.splitlines()]
    assert folders == [installed / OURS / "editors" / editor for editor in ("nvim", "emacs")]
    assert (folders[0] / "lua" / "quicksilver" / "init.lua").is_file()
    assert (folders[0] / "doc" / "quicksilver.txt").is_file()
    assert (folders[1] / "quicksilver.el").is_file()
    assert (installed / OURS / "docs" / "settings.md").is_file()


def test_the_licence_travels_along(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(metadata_folder() + "licenses/LICENSE").decode()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"


def required(wheel: zipfile.ZipFile) -> set[str]:
    """Names of the distributions that the wheel asks for, those of the extras included, test tools aside."""
    found = [Requirement(item) for item in metadata(wheel).get_all("Requires-Dist", [])]
    of_extras = [f'extra == "{extra}"' for extra in EXTRAS]
    return {
        canonicalize_name(one.name)
        for one in found
        if one.marker is None or any(extra in str(one.marker) for extra in of_extras)
    }


def imported() -> set[str]:
    """Names of the distributions that our packages import, at any depth of the code.

    A script imports the modules beside it by their bare names: these are ours.
    """
    names: set[str] = set()
    own: set[str] = set()
    for path in (
        path for folder in package_folders() for path in (ROOT / folder).rglob("*.py") if folder not in DATA_FOLDERS
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
                own |= {node.module} & {beside.stem for beside in path.parent.glob("*.py")}
    names |= {package for package, _ in GRAMMARS.values()}  # imported by name when they are wanted
    providers = packages_distributions()
    return {canonicalize_name(providers.get(name, [name])[0]) for name in names - own - sys.stdlib_module_names}


def test_what_is_imported_is_declared_and_the_other_way_round(wheel: zipfile.ZipFile) -> None:
    assert (sorted(imported() - required(wheel)), sorted(required(wheel) - imported())) == ([], [])


def test_every_dependency_is_pinned(wheel: zipfile.ZipFile) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    everything = {Requirement(item).name for item in metadata(wheel).get_all("Requires-Dist", [])}
    assert "pytest" in everything
    assert {canonicalize_name(name) for name in everything} <= {canonicalize_name(pin.name) for pin in pins}
