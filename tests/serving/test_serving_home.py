"""Names and permissions of an engine's files."""

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.fim.errors import EngineUnavailable
from quicksilver.fim.models.embedded import CHECKPOINTS, EMBEDDED
from quicksilver.serving.paths import (
    MAX_SOCKET_BYTES,
    EngineInfo,
    find_home,
    last_log_line,
    make_private,
    read_info,
    write_info,
)


def test_one_engine_per_model_and_version(tmp_path, monkeypatch):
    environ = {"QUICKSILVER_HOME": str(tmp_path)}
    built_in, again = find_home(environ=environ), find_home(environ=environ)
    other = find_home(tmp_path / "model", environ)
    assert built_in == again
    assert built_in.socket != other.socket
    monkeypatch.setattr("quicksilver.serving.paths.package_version", lambda: "99")
    assert find_home(environ=environ).socket != built_in.socket
    monkeypatch.undo()
    monkeypatch.setattr("quicksilver.serving.paths.PROTOCOL", 1)
    assert find_home(environ=environ).socket != built_in.socket


def test_a_named_model_is_not_the_default_engine_whatever_that_serves(tmp_path):
    environ = {"QUICKSILVER_HOME": str(tmp_path)}
    keys = {find_home(model, environ).key for model in (None, *(CHECKPOINTS / name for name in EMBEDDED))}
    assert len(keys) == 1 + len(EMBEDDED)


def test_spelling_of_the_model_path_does_not_matter(tmp_path):
    environ = {"QUICKSILVER_HOME": str(tmp_path)}
    assert find_home(tmp_path / "a" / ".." / "m", environ).key == find_home(tmp_path / "m", environ).key


def test_home_can_be_handed_on(tmp_path):
    for extra in ({}, {"QUICKSILVER_TRANSPORT": "tcp"}):
        home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path), **extra})
        assert find_home(environ=home.environment()) == home
    assert find_home(environ={"QUICKSILVER_HOME": str(tmp_path), "QUICKSILVER_TRANSPORT": "tcp"}).socket is None


def test_long_folder_gets_a_short_socket(tmp_path):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path / ("long" * 30))})
    assert home.socket is not None
    assert len(os.fsencode(home.socket)) <= MAX_SOCKET_BYTES
    assert home.socket.parent != home.folder
    try:
        home.prepare()
        assert stat.S_IMODE(home.socket.parent.stat().st_mode) == 0o700
    finally:
        home.socket.parent.rmdir()


def test_folders_are_private(tmp_path):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path)})
    home.folder.mkdir(mode=0o755)
    home.prepare()
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_default_folders_need_no_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    home = find_home(environ={})
    assert home.override is None
    assert home.folder.is_absolute()
    assert home.log_file.is_absolute()


def test_a_home_that_cannot_be_written_keeps_its_log_beside_the_socket(monkeypatch, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda *_, **__: runtime / "quicksilver")
    for state, is_beside in ((tmp_path / "file" / "state", True), (tmp_path / "new" / "state", False)):
        monkeypatch.setattr("platformdirs.user_log_path", lambda *_, state=state, **__: state / "log")
        home = find_home(environ={})
        assert (home.log_file.parent == home.folder) is is_beside
        home.prepare()
        assert home.log_file.parent.is_dir()


def test_link_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineUnavailable, match="not a folder"):
        make_private(tmp_path / "run")


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(EngineUnavailable):
        make_private(tmp_path / "run")


def test_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(EngineUnavailable, match="another user"):
        make_private(tmp_path)


def test_info_round_trip_and_damage(tmp_path):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path)})
    home.prepare()
    assert read_info(home.info_file) is None
    info = EngineInfo(pid=12, started_s=1.5, port=8000)
    write_info(home, info)
    assert read_info(home.info_file) == info
    write_info(home, replace(info, port=None))
    assert read_info(home.info_file) == replace(info, port=None)
    for damage in ("", "[]", "{}", '{"pid": "x", "started_s": 1, "port": 1}'):
        home.info_file.write_text(damage)
        assert read_info(home.info_file) is None


def test_last_log_line(tmp_path):
    log = tmp_path / "log"
    assert last_log_line(log, 0) == ""
    log.write_text("2026-11-21 08:00:00,123 ERROR 4711 old\n")
    size = log.stat().st_size
    assert last_log_line(log, 0) == "old"
    assert last_log_line(log, size) == ""
    with log.open("a") as file:
        file.write("2026-11-21 08:00:01,123 ERROR 4711 no checkpoint: run make train\n\n")
    assert last_log_line(log, size) == "no checkpoint: run make train"
    log.write_text("rotated\n")
    assert last_log_line(log, size) == "rotated"


def test_client_side_imports_no_heavy_package():
    code = (
        "import sys, quicksilver.serving.client.engine_client, quicksilver.serving.wire, quicksilver.serving.paths\n"
        "heavy = {'torch', 'starlette', 'uvicorn', 'numpy', 'httpx', 'httpx2', 'filelock', 'psutil', 'transformers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert done.stdout.strip() == "[]"
