"""Engine processes: started once, found again, cancelled, killed, refused, stopped."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import time
from contextlib import suppress

import pytest
from quicksilver.fim.errors import CheckpointError, EngineBusy, EngineUnavailable
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.client.http import EngineNotRunning
from quicksilver.serving.client.process_control import end_process
from quicksilver.serving.client.starting import default_launch
from quicksilver.serving.engine.worker import N_SLOTS, N_WAITING
from quicksilver.serving.paths import EngineHome, EngineInfo, find_home, read_info, write_info

pytestmark = pytest.mark.slow


def engine_info(home: EngineHome) -> EngineInfo:
    info = read_info(home.info_file)
    assert info is not None
    return info


async def gone(rig):
    async with asyncio.timeout(30):
        while rig.processes():
            await asyncio.sleep(0.02)


def run_serve(rig, *arguments):
    environ = {**os.environ, "QUICKSILVER_HOME": str(rig.folder), **rig.environ}
    return subprocess.run(rig.launch(*arguments), env=environ, capture_output=True, text=True, timeout=60)


async def test_started_on_first_use_and_private(rig, ask):
    client = rig.client()
    with pytest.raises(EngineNotRunning):
        await client.health()
    assert (await client.complete(ask("first"))).text == "first"
    assert (await client.complete(ask("second"))).text == "second"
    assert len(rig.processes()) == 1
    home = rig.home
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert stat.S_ISSOCK(home.socket.stat().st_mode)
    assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600
    assert not home.token_file.exists()  # no TCP listener, no token
    process = rig.processes()[0]
    assert os.getsid(process.pid) == process.pid  # detached: closing the terminal does not end it
    await client.shutdown()
    await gone(rig)
    assert not home.socket.exists()
    assert not home.info_file.exists()


async def test_ten_front_ends_start_one_engine(rig, ask):
    clients = [rig.client("--fake-load-ms", "300") for _ in range(10)]
    answers = await asyncio.gather(*(client.complete(ask(f"p{i}")) for i, client in enumerate(clients)))
    assert [answer.text for answer in answers] == [f"p{i}" for i in range(10)]
    assert len(rig.processes()) == 1
    assert rig.home.log_file.read_text().count("listening on") == 1


FRONT_END = """
import asyncio, sys
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import find_home
health = asyncio.run(EngineClient(find_home(), sys.argv[1:]).ensure_running())
print(health.pid)
"""


async def test_front_ends_in_processes_of_their_own_start_one_engine(rig):
    environ = {**os.environ, "QUICKSILVER_HOME": str(rig.folder)}
    command = ["python", "-P", "-c", FRONT_END, *rig.launch("--detached")]
    command[0] = rig.launch()[0]
    front_ends = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    pids = {front_end.communicate(timeout=60)[0].strip() for front_end in front_ends}
    assert [front_end.returncode for front_end in front_ends] == [0] * 4
    assert pids == {str(process.pid) for process in rig.processes()}
    assert len(pids) == 1


async def test_progress_is_told_once_per_stage(rig):
    stages: list[str] = []
    health = await rig.client("--fake-load-ms", "600").ensure_running(stages.append)
    assert stages == ["starting the engine", "loading the model", "ready"]
    assert health.model == "fake"


async def test_health_answers_while_the_model_loads_and_requests_wait(rig, ask):
    client = rig.client("--fake-load-ms", "1500")
    starting = asyncio.create_task(client.ensure_running())
    other = rig.client()
    async with asyncio.timeout(30):
        while True:
            try:
                health = await other.health()
                break
            except EngineUnavailable:
                await asyncio.sleep(0.01)
    assert health.status == "loading"
    assert (await other.complete(ask("early"))).text == "early"
    assert (await starting).status == "ready"


async def test_cancelling_stops_within_one_step(rig, ask):
    step_ms = 250
    client = rig.client("--fake-step-ms", str(step_ms))
    await client.ensure_running()
    running = asyncio.create_task(client.complete(ask("long", n_steps=600)))
    await rig.event("start")
    waiting = asyncio.create_task(client.complete(ask("waiting", n_steps=1)))
    async with asyncio.timeout(30):
        while (await client.health()).n_jobs != 2:
            await asyncio.sleep(0.005)
    waiting.cancel()
    running.cancel()
    cancelled_s = time.monotonic()
    await asyncio.gather(running, waiting, return_exceptions=True)
    (event,) = await rig.event("cancelled")
    # One step, and as much again for a loaded machine; the job alone would have taken a minute.
    assert event["at_s"] - cancelled_s < 2 * step_ms / 1000
    assert event["step"] < 20
    assert (await client.complete(ask("next"))).text == "next"
    assert [start["prefix"] for start in rig.events("start")] == ["long", "next"]  # the waiting one never ran


async def test_openai_client_that_hangs_up_stops_the_work(rig):
    client = rig.client("--fake-step-ms", "20")
    await client.ensure_running()
    _, writer = await asyncio.open_unix_connection(str(rig.home.socket))
    body = json.dumps({"prompt": "hang up"}).encode()
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await rig.event("start")
    writer.close()
    (event,) = await rig.event("cancelled")
    assert event["step"] < 64


async def test_killed_mid_request_then_the_next_is_answered(rig, ask):
    client = rig.client("--fake-step-ms", "20")
    running = asyncio.create_task(client.complete(ask("doomed", n_steps=500)))
    await rig.event("start")
    first = engine_info(rig.home).pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="died"):
        await running
    assert rig.home.socket.exists()  # stale: nobody listens there
    assert (await client.complete(ask("next"))).text == "next"
    assert engine_info(rig.home).pid != first
    assert len(rig.processes()) == 1


async def test_killed_between_two_requests(rig, ask):
    client = rig.client()
    pids = set()
    for number in range(6):  # the kernel sometimes still accepts a connection while it tears the killed process down
        assert (await client.complete(ask(f"p{number}"))).text == f"p{number}"
        pids.add(engine_info(rig.home).pid)
        os.kill(engine_info(rig.home).pid, signal.SIGKILL)
    assert len(pids) == 6


async def test_stale_socket_is_replaced(rig, ask):
    rig.home.prepare()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(rig.home.socket))
    assert rig.home.socket.exists()
    assert (await rig.client().complete(ask("hello"))).text == "hello"


async def test_busy_queue(rig, ask):
    client = rig.client("--fake-step-ms", "20")
    await client.ensure_running()
    running = [asyncio.create_task(client.complete(ask(f"running {i}", n_steps=5000))) for i in range(N_SLOTS)]
    await rig.event("start", N_SLOTS)
    waiting = [asyncio.create_task(client.complete(ask(f"w{i}"))) for i in range(N_WAITING)]
    async with asyncio.timeout(30):
        while (await client.health()).n_jobs < N_SLOTS + N_WAITING:
            await asyncio.sleep(0.01)
    with pytest.raises(EngineBusy, match="busy"):
        await client.complete(ask("one too many"))
    for job in running:
        job.cancel()
    answers = await asyncio.gather(*waiting)
    assert [answer.text for answer in answers] == [f"w{i}" for i in range(N_WAITING)]


async def test_idle_engine_stops_and_comes_back(rig, ask):
    client = rig.client("--idle-minutes", "0.005", "--fake-step-ms", "10")  # 300 ms
    completion = await client.complete(ask("longer than the idle time", n_steps=100))
    assert completion.finish_reason == "stop"  # it does not stop while it works
    await gone(rig)
    assert not rig.home.socket.exists()
    assert "no request for 0.3 s" in rig.home.log_file.read_text()
    assert (await client.complete(ask("again"))).text == "again"


async def test_second_engine_is_refused(rig, ask):
    client = rig.client()
    await client.ensure_running()
    pid = engine_info(rig.home).pid
    done = run_serve(rig)
    assert done.returncode == 2
    already = f"an engine (process {pid}) already serves {rig.home.socket}"
    assert done.stderr == f"quicksilver serve: {already}: stop it with `quicksilver stop`, or use `serve --replace`\n"
    assert (await client.complete(ask("unharmed"))).text == "unharmed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_cleanly(rig, ask, number):
    client = rig.client("--fake-step-ms", "50")
    await client.ensure_running()
    process = rig.processes()[0]
    running = asyncio.create_task(client.complete(ask("cut short", n_steps=30)))
    await rig.event("start")
    process.send_signal(number)
    # The engine turns the request down as not run; the client starts another engine and asks once more.
    assert (await running).text == "cut short"
    assert [event["prefix"] for event in rig.events("cancelled")] == ["cut short"]
    assert engine_info(rig.home).pid != process.pid
    log = rig.home.log_file.read_text()
    assert "stopped: " + number.name in log
    assert "Traceback" not in log


async def test_foreground_engine_exits_with_0(rig):
    environ = {**os.environ, "QUICKSILVER_HOME": str(rig.folder)}
    with subprocess.Popen(rig.launch(), env=environ, stderr=subprocess.PIPE, text=True) as process:
        client = EngineClient(rig.home, ["false"])
        async with asyncio.timeout(30):
            while True:
                with suppress(EngineUnavailable):
                    if (await client.health()).status == "ready":
                        break
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert f"listening on {rig.home.socket}" in process.stderr.read()
    assert not rig.home.socket.exists()


async def test_failed_load_is_one_line_for_everybody(rig, ask):
    client = rig.client("--fake-load-fails", "--fake-load-ms", "100")
    with pytest.raises(CheckpointError) as caught:
        await client.complete(ask())
    assert "no checkpoint in the fake folder: run the fake trainer" in str(caught.value)
    assert "\n" not in str(caught.value)
    await gone(rig)
    assert "ERROR" in rig.home.log_file.read_text()
    done = run_serve(rig, "--fake-load-fails")
    assert done.returncode == 2
    assert done.stderr == "quicksilver serve: no checkpoint in the fake folder: run the fake trainer\n"


async def test_engine_that_cannot_even_start(rig, ask):
    client = EngineClient(rig.home, [rig.launch()[0], "-c", "raise SystemExit('no such module: quicksilver')"])
    with pytest.raises(EngineUnavailable, match="no such module: quicksilver"):
        await client.complete(ask())
    with pytest.raises(EngineUnavailable, match="cannot run"):
        await EngineClient(rig.home, [str(rig.folder / "absent")]).complete(ask())


async def test_engine_that_never_answers(rig, ask):
    sleeper = [rig.launch()[0], "-c", "import time; time.sleep(60)", str(rig.fake_log)]
    client = EngineClient(rig.home, sleeper, start_timeout_s=0.5)
    with pytest.raises(EngineUnavailable, match=r"not ready after 0\.5 s"):
        await client.complete(ask())


async def test_upgrade_while_running_is_named(rig, ask, monkeypatch):
    client = rig.client()
    monkeypatch.setattr("quicksilver.serving.client.starting.package_version", lambda: "99")
    with pytest.raises(EngineUnavailable, match="restart the editor"):
        await client.complete(ask())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "/nonexistent/model"], "there is no checkpoint folder or GGUF file /nonexistent/model"),
        (["--port", "70000"], "--port must be from 0"),
        (["--port", "many"], "argument --port: invalid int value: 'many'"),
        (["--threads", "0"], "--threads must be from 1 to 1024"),
        (["--context-tokens", "0"], "--context-tokens must be from 1"),
        (["--cache-mb", "-1"], "--cache-mb must be from 0"),
        (["--idle-minutes", "nan"], "--idle-minutes must be a number"),
        (["--frobnicate"], "there is no option --frobnicate"),
    ],
)
def test_bad_option_is_one_line(rig, arguments, words):
    done = run_serve(rig, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_port_in_use_is_one_line(rig):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_serve(rig, "--port", str(port))
    assert done.returncode == 2
    assert done.stderr == f"quicksilver serve: port {port} is in use: choose another with --port\n"
    assert not rig.home.socket.exists()


async def test_without_unix_sockets(rig, ask):
    rig.environ = {"QUICKSILVER_TRANSPORT": "tcp"}
    client = rig.client("--fake-step-ms", "20")
    assert (await client.complete(ask("over tcp"))).text == "over tcp"
    assert stat.S_IMODE(rig.home.token_file.stat().st_mode) == 0o600
    assert list(rig.home.folder.glob("*.sock")) == []
    done = run_serve(rig)
    assert done.returncode == 2
    assert "already serves port" in done.stderr
    running = asyncio.create_task(client.complete(ask("doomed", n_steps=500)))
    await rig.event("start", 2)
    os.kill(engine_info(rig.home).pid, signal.SIGKILL)
    with pytest.raises(EngineUnavailable):
        await running
    assert (await client.complete(ask("next"))).text == "next"  # the old info file names a dead process


def test_default_launch_keeps_the_workspace_out(tmp_path):
    home = find_home(tmp_path, {"QUICKSILVER_HOME": str(tmp_path)})
    command = default_launch(home, threads=3)
    assert command[1:4] == ["-P", "-m", "quicksilver.cli"]
    assert command[4:] == ["serve", "--detached", "--model", str(tmp_path.resolve()), "--threads", "3"]


async def test_a_frozen_engine_is_named_and_no_second_one_is_started(rig, ask, monkeypatch):
    monkeypatch.setattr("quicksilver.serving.client.engine_client._ANSWER_SLACK_S", 0.3)
    monkeypatch.setattr("quicksilver.serving.client.engine_client._PROBE_TIMEOUT_S", 0.3)
    client = rig.client()
    await client.complete(ask("first"))
    pid = engine_info(rig.home).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EngineUnavailable, match=f"process {pid}.*does not answer"):
            await client.complete(ask("frozen", budget_ms=100.0))
        with pytest.raises(EngineUnavailable, match=f"process {pid}.*does not answer"):
            await client.ensure_running()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (await client.complete(ask("thawed"))).text == "thawed"
    assert engine_info(rig.home).pid == pid


async def test_a_frozen_engine_can_be_ended(rig, ask, monkeypatch):
    monkeypatch.setattr("quicksilver.serving.client.engine_client._PROBE_TIMEOUT_S", 0.3)
    client = rig.client()
    await client.complete(ask("first"))
    pid = engine_info(rig.home).pid
    os.kill(pid, signal.SIGSTOP)
    await client.shutdown()
    assert (await client.complete(ask("second"))).text == "second"
    assert engine_info(rig.home).pid != pid


async def test_nobody_elses_process_is_killed(rig):
    """A file left behind by an engine whose number another process has by now."""
    with subprocess.Popen(["sleep", "60"]) as other:
        rig.home.prepare()
        write_info(rig.home, EngineInfo(pid=other.pid, started_s=1.0, port=None))
        assert await end_process(rig.home.info_file) is None
        assert other.poll() is None
        other.kill()


async def test_a_home_that_cannot_be_written_is_one_line(rig, ask):
    rig.home.prepare()
    rig.home.log_file.mkdir()
    with pytest.raises(EngineUnavailable, match="cannot write"):
        await rig.client().complete(ask())


async def test_an_engine_whose_worker_died_ends_and_says_why(rig, ask):
    client = rig.client()
    await client.ensure_running()
    pid = engine_info(rig.home).pid
    with pytest.raises(EngineUnavailable, match="SystemExit"):
        await client.complete(ask("raise-exit"))
    await gone(rig)
    assert "the engine failed (SystemExit)" in rig.home.log_file.read_text()
    assert (await client.complete(ask("next"))).text == "next"
    assert engine_info(rig.home).pid != pid


@pytest.mark.parametrize(
    ("last_words", "ending", "words"),
    [
        ("", "os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("starting version 1", "os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("", "os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL, perhaps for want of memory"),
        ("", "sys.exit(3)", "exit code 3"),
        ("no such module", "sys.exit(3)", "no such module"),
    ],
)
async def test_what_ended_an_engine_while_it_was_starting_is_named(rig, ask, last_words, ending, words):
    code = f"import os, signal, sys; print({last_words!r}, file=sys.stderr, flush=True); {ending}"
    with pytest.raises(EngineUnavailable, match=f"ended while starting: {words} "):
        await EngineClient(rig.home, [rig.launch()[0], "-c", code]).complete(ask())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
async def test_a_full_disk_is_named(rig, ask, monkeypatch):
    rig.home.prepare()
    monkeypatch.setattr("quicksilver.serving.client.starting.last_log_line", lambda *_: "")  # nothing could be written
    rig.home.log_file.symlink_to("/dev/full")
    with pytest.raises(EngineUnavailable, match=r"cannot write .*\.log: No space left on device"):
        await EngineClient(rig.home, [rig.launch()[0], "-c", "raise SystemExit(1)"]).complete(ask())
