"""Somebody else in the engine's place gets neither source text nor token."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.client.http import Endpoint, EngineNotRunning, exchange
from quicksilver.serving.liveness import birth_s, is_same
from quicksilver.serving.paths import EngineInfo, find_home, read_info, write_info, write_private
from quicksilver.serving.peer import EngineNotOurs, check_peer
from quicksilver.serving.proof import Challenge

NOBODY = 65534
SECRET = 'PASSWORD = "hunter2"'

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="two users are needed: be root")

# Listens, as another user, on a socket that was bound before, and prints what it is sent.
STRANGER = f"""
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
os.setgid({NOBODY}), os.setuid({NOBODY})
listener.listen()
print("listening", flush=True)
listener.settimeout(20)
print(listener.accept()[0].recv(65536), flush=True)
"""


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="qs-", dir="/tmp") as folder:
        home = find_home(environ={"QUICKSILVER_HOME": folder})
        home.prepare()
        yield home


@as_root
async def test_a_socket_of_another_user_is_sent_nothing(home, ask):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home.socket))
        command = [sys.executable, "-P", "-c", STRANGER, str(bound.fileno())]
        with subprocess.Popen(command, pass_fds=[bound.fileno()], stdout=subprocess.PIPE, text=True) as stranger:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == "listening\n"
            with pytest.raises(EngineNotOurs, match="another user"):
                await EngineClient(home, ["false"], answer_timeout_s=2).complete(ask(SECRET))
            assert await asyncio.to_thread(stranger.stdout.readline) == "b''\n"


@as_root
async def test_a_folder_of_another_user_is_not_even_entered(home, ask):
    os.chown(home.folder, NOBODY, NOBODY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.socket))
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(EngineNotOurs, match="another user"):
            await EngineClient(home, ["false"], answer_timeout_s=2).complete(ask(SECRET))
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_a_link_in_place_of_the_folder_is_not_followed(home, ask):
    elsewhere = home.folder.rename(home.folder.with_name("elsewhere"))
    home.folder.symlink_to(elsewhere)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.socket))
        listener.listen()
        listener.setblocking(False)
        with pytest.raises(EngineNotOurs, match="not a folder"):
            await EngineClient(home, ["false"], answer_timeout_s=2).complete(ask(SECRET))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_our_own_socket_passes(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        client.connect(str(tmp_path / "s"))
        check_peer(client)


class Thief:
    """Listens on a port, keeps what it is sent, and gives every request the same answer."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.received = b""

    @asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        while data := await reader.read(65536):
            self.received += data
            if data.endswith(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.answer), self.answer))
        writer.close()


@pytest.mark.parametrize(
    "answer", [b"{}", b'{"nonce": "\\ud800", "proof": "\\ud800"}', b'{"nonce": "1", "proof": "0"}']
)
async def test_who_took_the_port_gets_neither_token_nor_text(tmp_path, ask, answer):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path), "QUICKSILVER_TRANSPORT": "tcp"})
    home.prepare()
    write_private(home.token_file, "the-token")
    thief = Thief(answer)
    async with thief.listening() as port:
        started_s = birth_s(os.getpid())
        assert started_s is not None
        write_info(home, EngineInfo(pid=os.getpid(), started_s=started_s, port=port))  # a process that runs
        with pytest.raises(EngineNotOurs, match="not your engine"):
            await EngineClient(home, ["false"], answer_timeout_s=2).complete(ask(SECRET))
    assert b"GET /v1/proof" in thief.received
    assert b"the-token" not in thief.received
    assert b"hunter2" not in thief.received


async def test_a_relay_cannot_prove_that_it_is_the_engine(shared_rig):
    """It hands every byte on to the real engine and back: the proof is about another connection."""
    info = read_info(shared_rig.home.info_file)
    assert info is not None
    received: list[bytes] = []

    async def pump(reader, writer, seen):
        while data := await reader.read(65536):
            seen.append(data)
            writer.write(data)
        writer.close()

    async def relay(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", info.port)
        with suppress(ConnectionError):  # the client hangs up
            await asyncio.gather(pump(reader, there_writer, received), pump(there_reader, writer, []))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        token = shared_rig.home.token_file.read_text()
        endpoint = Endpoint(port=server.sockets[0].getsockname()[1], token=token)
        with pytest.raises(EngineNotOurs):
            await exchange(endpoint, "POST", "/v1/fill", SECRET.encode(), timeout_s=10)
    assert b"GET /v1/proof" in b"".join(received)
    assert b"hunter2" not in b"".join(received)


def test_a_proof_is_for_one_side_of_one_connection_and_one_token():
    def challenge(client_port=1, engine_nonce="e"):
        return Challenge(client_nonce="c", engine_nonce=engine_nonce, client_port=client_port, engine_port=2)

    proof = challenge().proof("token", "engine")
    assert challenge().holds(proof, "token", "engine")
    assert not challenge().holds(proof, "token", "client")
    assert not challenge().holds(proof, "other", "engine")
    assert not challenge(client_port=3).holds(proof, "token", "engine")
    assert not challenge(engine_nonce="f").holds(proof, "token", "engine")


async def test_an_engine_that_was_killed_but_not_buried_is_gone(tmp_path, ask):
    home = find_home(environ={"QUICKSILVER_HOME": str(tmp_path), "QUICKSILVER_TRANSPORT": "tcp"})
    home.prepare()
    write_private(home.token_file, "the-token")
    thief = Thief()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as engine:
        started_s = birth_s(engine.pid)
        assert started_s is not None
        assert is_same(engine.pid, started_s)
        async with thief.listening() as port:
            write_info(home, EngineInfo(pid=engine.pid, started_s=started_s, port=port))
            engine.kill()
            os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
            with pytest.raises(EngineNotRunning):
                await EngineClient(home).health()
    assert thief.received == b""


async def test_the_address_is_withdrawn_before_the_port_is_given_up(rig, ask):
    rig.environ = {"QUICKSILVER_TRANSPORT": "tcp"}
    client = rig.client("--fake-step-ms", "1500")
    await client.ensure_running()
    running = asyncio.create_task(client.complete(ask("long", n_steps=100)))
    await rig.event("start")
    info = read_info(rig.home.info_file)
    assert info is not None
    os.kill(info.pid, 15)
    async with asyncio.timeout(20):
        while _accepts(info.port):
            await asyncio.sleep(0.005)
    assert is_same(info.pid, info.started_s)  # it still works on the last request
    assert not rig.home.info_file.exists()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_every_engine_has_a_token_of_its_own(rig, ask):
    rig.environ = {"QUICKSILVER_TRANSPORT": "tcp"}
    tokens = set()
    for name in ("first", "second"):
        client = rig.client()
        assert (await client.complete(ask(name))).text == name
        tokens.add(rig.home.token_file.read_text())
        await client.shutdown()
        assert not rig.home.token_file.exists()
    assert len(tokens) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere creation times are on the clock that people set")
def test_setting_the_clock_changes_no_birth(monkeypatch):
    """psutil adds the time of the boot, which moves with the clock."""
    started_s = birth_s(os.getpid())
    assert started_s is not None
    assert 0 < started_s < float(Path("/proc/uptime").read_text().split()[0])
