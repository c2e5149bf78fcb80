"""No module of the folder that the server is started in runs, whatever PYTHONPATH says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from quicksilver.cli.import_path import without_working_folder

QUICKSILVER = Path(sys.executable).with_name("quicksilver")
SHADOWS = ("argparse", "json", "logging", "unicodedata")


@pytest.mark.parametrize("pythonpath", [":", ".", "sub:", "{bystander}:"])
def test_modules_of_the_working_folder_do_not_run(tmp_path: Path, pythonpath: str) -> None:
    workspace, bystander = tmp_path / "workspace", tmp_path / "bystander"
    for folder in (workspace, workspace / "sub", bystander):
        folder.mkdir()
    for folder in (workspace, workspace / "sub"):
        for name in SHADOWS:
            (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of the workspace runs')\n")
    around = {**os.environ, "PYTHONPATH": pythonpath.format(bystander=bystander)}
    done = subprocess.run([QUICKSILVER, "settings"], cwd=workspace, env=around, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "min_confidence" in done.stdout


def test_what_is_named_by_its_whole_path_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, lib = str(tmp_path), str(tmp_path / "lib")
    hook = "__editable__.finder.__path_hook__"  # no path, and needed
    path = ["", ".", here, lib, hook, "/usr/lib/python"]
    assert without_working_folder(path, ":lib:/x") == [hook, "/usr/lib/python"]
    assert without_working_folder(path, f":{here}") == [here, lib, hook, "/usr/lib/python"]
    assert without_working_folder(path, "") == [here, lib, hook, "/usr/lib/python"]


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert without_working_folder(["", "/usr/lib/python"], ":") == ["/usr/lib/python"]
