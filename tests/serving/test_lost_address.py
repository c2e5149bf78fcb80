"""Engines whose files were removed or replaced: they end, take away nothing of others, and can be stopped."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest
from quicksilver.cli.main import main
from quicksilver.fim.errors import EngineUnavailable, InputError
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.client.process_control import end_process
from quicksilver.serving.liveness import birth_s, is_same
from quicksilver.serving.paths import EngineInfo, find_home, read_info, running_info, write_info
from quicksilver.serving.peer import EngineNotOurs
from quicksilver.serving.process.listener import claim, listen
from quicksilver.serving.process.port_options import PortOptions


def engine_info(rig) -> EngineInfo:
    info = read_info(rig.home.info_file)
    assert info is not None
    return info


async def ended(info: EngineInfo) -> None:
    async with asyncio.timeout(30):
        while is_same(info.pid, info.started_s):
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["socket", "info_file", "folder"])
async def test_an_engine_that_cannot_be_found_any_more_ends(rig, ask, lost):
    client = rig.client()
    await client.ensure_running()
    orphan = engine_info(rig)
    if lost == "folder":
        shutil.rmtree(rig.home.folder)
    else:
        getattr(rig.home, lost).unlink()
    assert (await client.complete(ask("next"))).text == "next"
    await ended(orphan)
    assert (await client.complete(ask("another"))).text == "another"
    heir = engine_info(rig)
    assert heir.pid != orphan.pid
    assert (await client.complete(ask("the heir is unharmed"))).text == "the heir is unharmed"
    assert engine_info(rig) == heir


@pytest.mark.slow
async def test_an_engine_whose_token_is_lost_ends(rig, ask):
    rig.environ = {"QUICKSILVER_TRANSPORT": "tcp"}
    await rig.client().ensure_running()
    orphan = engine_info(rig)
    rig.home.token_file.unlink()
    assert (await rig.client().complete(ask("next"))).text == "next"
    await ended(orphan)


async def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, ask):
    (tmp_path / "file").touch()
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path / "file")})
    with pytest.raises(EngineUnavailable, match=r"cannot use the folder .*file/run: Not a directory"):
        await EngineClient(home).complete(ask("any"))


@pytest.fixture
def home(tmp_path):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path)})
    home.prepare()
    return home


def test_only_own_files_are_removed(home):
    with claim(home), listen(home, PortOptions(port=0)) as first:
        assert first.is_ours()
        for path in (home.socket, home.info_file, home.token_file):
            path.unlink()
        assert not first.is_ours()
        with listen(home, PortOptions(port=0)) as second:
            assert second.is_ours()
            first.withdraw()
            assert second.is_ours()
            assert home.token_file.read_text() == second.admission.token
        assert not any(path.exists() for path in (home.socket, home.info_file, home.token_file))


def test_a_shortage_of_descriptors_is_no_lost_address(home, monkeypatch):
    with claim(home), listen(home, PortOptions(port=0)) as address:

        def fail(*_):
            raise OSError(24, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.read_bytes", fail)
            patch.setattr("pathlib.Path.open", fail)
            assert address.is_ours()


def test_left_overs_of_killed_engines_are_removed(home):
    left = [home.folder / f"{home.info_file.name}.12.tmp", home.folder / f"{home.token_file.name}.12.tmp"]
    others = home.folder / "engine-other.json.12.tmp"
    for path in (*left, others):
        path.touch()
    with claim(home), listen(home, PortOptions()):
        assert not any(path.exists() for path in left)
    assert others.exists()


def test_a_full_disk_leaves_nothing_behind(home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"), claim(home), listen(home, PortOptions(port=0)):
        pass
    assert sorted(path.suffix for path in home.folder.iterdir()) == [".lock"]


def test_the_holder_of_the_lock_is_named(home):
    """It holds the lock and has no socket: a frozen engine whose folder was cleaned."""
    started_s = birth_s(os.getpid())
    assert started_s is not None
    write_info(home, EngineInfo(pid=os.getpid(), started_s=started_s, port=None))
    with claim(home), pytest.raises(InputError, match=rf"process {os.getpid()}.*quicksilver stop"), claim(home, 0.1):
        pass


@pytest.mark.slow
async def test_restarting_ends_a_frozen_engine_without_a_socket(rig, ask, monkeypatch):
    monkeypatch.setattr("quicksilver.serving.client.engine_client.end_process", partial(end_process, patience_s=0.2))
    client = rig.client()
    await client.ensure_running()
    frozen = engine_info(rig)
    os.kill(frozen.pid, signal.SIGSTOP)
    rig.home.socket.unlink()
    await client.shutdown()
    assert not is_same(frozen.pid, frozen.started_s)
    assert (await client.complete(ask("next"))).text == "next"


async def test_a_process_that_ignores_being_told_is_killed(home):
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        started_s = birth_s(stubborn.pid)
        assert started_s is not None
        write_info(home, EngineInfo(pid=stubborn.pid, started_s=started_s, port=None))
        assert await end_process(home.info_file, patience_s=0.1) is not None
        assert stubborn.wait(10) == -signal.SIGKILL


async def test_an_engine_that_does_not_stop_is_named(rig, monkeypatch):
    client = rig.client()
    await client.ensure_running()
    info = engine_info(rig)

    async def nothing(*_, **__):
        return None

    monkeypatch.setattr("quicksilver.serving.client.engine_client.end_process", nothing)
    monkeypatch.setattr("quicksilver.serving.client.engine_client._STOP_S", 0.3)
    monkeypatch.setattr("quicksilver.serving.client.engine_client._PROBE_TIMEOUT_S", 0.2)
    os.kill(info.pid, signal.SIGSTOP)
    with pytest.raises(EngineUnavailable, match=f"process {info.pid}"):
        await client.shutdown()


async def test_a_folder_of_another_user_names_no_process(home):
    """Whoever owns the folder could name any process of ours, and a port of theirs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        info = EngineInfo(pid=other.pid, started_s=birth_s(other.pid) or 0.0, port=1)
        write_info(home, info)
        assert running_info(home.info_file) == info
        elsewhere = home.folder.rename(home.folder.with_name("elsewhere"))
        home.folder.symlink_to(elsewhere)
        with pytest.raises(EngineNotOurs):
            await end_process(home.info_file)
        assert other.poll() is None
        other.kill()


async def test_stop_ends_one_engine_or_all_and_says_so(rig, ask, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QUICKSILVER_HOME", str(rig.folder))
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for client in (rig.client(), EngineClient(find_home(checkpoint), rig.launch("--model", str(checkpoint)))):
        await client.ensure_running()
    built_in = engine_info(rig).pid
    other = read_info(find_home(checkpoint).info_file)
    assert other is not None
    said = []
    for arguments in (["--model", str(checkpoint)], ["--model", "nano"], [], ["--model", "base"]):
        assert await asyncio.to_thread(main, ["stop", *arguments]) == 0
        said.append(capsys.readouterr().out)
    assert said == [
        f"stopped the engine (process {other.pid})\n",
        "no engine is running\n",
        f"stopped the engine (process {built_in})\n",
        "no engine is running\n",
    ]
    assert not rig.processes()
    assert await asyncio.to_thread(main, ["stop", "--model", str(tmp_path / "absent")]) == 2


@pytest.mark.slow
async def test_serve_can_take_the_place_of_the_engine_that_runs(rig, ask):
    await rig.client().ensure_running()
    before = engine_info(rig)
    environ = {**os.environ, "QUICKSILVER_HOME": str(rig.folder)}
    with subprocess.Popen(rig.launch("--replace", "--detached"), env=environ) as heir:
        await ended(before)
        async with asyncio.timeout(30):
            while (info := read_info(rig.home.info_file)) is None or info.pid != heir.pid:
                await asyncio.sleep(0.02)
        assert (await rig.client().complete(ask("hello"))).text == "hello"
        heir.terminate()
        assert heir.wait(20) == 0
