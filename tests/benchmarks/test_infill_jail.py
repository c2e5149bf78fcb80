"""Programs that attack the evaluation, against each layer of the jail alone, and programs that forge their verdict."""

import ctypes
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from quicksilver.benchmarks.sandbox import execution as infill_execution
from quicksilver.benchmarks.sandbox import verdicts as infill_verdicts
from quicksilver.benchmarks.sandbox.execution import JAIL, Limits, Program, Run, RunVerdict, execute
from quicksilver.benchmarks.sandbox.verdicts import VerdictLog, run_programs

LINUX = sys.platform == "linux"
KERNEL = LINUX and os.uname().machine in ("x86_64", "aarch64")
# What each layer is taken out by: (file, text, other text).
WITHOUT = {
    "Landlock": ("jail_kernel.py", 'held = ["Landlock"] if restrict_files(libc, folder) else []', "held = []"),
    "seccomp": ("jail_kernel.py", "if filter_system_calls(libc) else held", "if not libc else held"),
    "audit hook": ("jail.py", "    refuse_in_interpreter(folder)\n", ""),
}

# Attacks on another process of the same user (victim), on files (outside, which holds `kept`), and on both by system
# calls that the filter knows.
ATTACKS = """
import contextlib, fcntl, os, resource, signal, sqlite3, struct
from _posixshmem import shm_open

def arm(command, value):
    read, write = os.pipe()
    fcntl.fcntl(read, command, value)
    fcntl.fcntl(read, 10, signal.SIGKILL)  # F_SETSIG
    fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(write, b"x")

def poke(flags):
    os.pread(os.open(f"/proc/{victim}/mem", flags), 1, int(open(f"/proc/{victim}/maps").read().split("-")[0], 16))

def control(request):
    try:
        fcntl.ioctl(0, request, struct.pack("i", 1))
    except OSError as error:
        if isinstance(error, PermissionError):
            raise

def query(statements):
    sqlite3.connect(":memory:").executescript(statements)

processes = [
    lambda: os.setpriority(os.PRIO_PROCESS, victim, 5),
    lambda: os.sched_setaffinity(victim, os.sched_getaffinity(0)),
    lambda: os.sched_setscheduler(victim, os.SCHED_OTHER, os.sched_param(0)),
    lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (9, 9)),
    lambda: os.kill(victim, 0),
    lambda: signal.pidfd_send_signal(os.pidfd_open(victim), 0),
    lambda: arm(15, struct.pack("ii", 1, victim)),  # F_SETOWN_EX
    lambda: arm(fcntl.F_SETOWN, victim),
]
memory = [
    lambda: poke(os.O_RDONLY),
    lambda: poke(os.O_RDWR),
]
calls = [
    lambda: control(0x5452),  # FIOASYNC
    lambda: control(0x5412),  # TIOCSTI
    lambda: os.setpriority(os.PRIO_USER, 0, 5),
]
devices = [
    lambda: os.mkfifo(f"{outside}/fifo"),
    lambda: os.mknod(f"{outside}/node"),
]
files = [
    lambda: open(f"{outside}/new", "w"),
    lambda: open(f"{outside}/kept", "a"),
    lambda: os.mkdir(f"{outside}/folder"),
    lambda: os.symlink("kept", f"{outside}/link"),
    lambda: os.rename(f"{outside}/kept", f"{outside}/other"),
    lambda: os.remove(f"{outside}/kept"),
    lambda: sqlite3.connect(f"{outside}/base").execute("create table t(c)"),
    lambda: shm_open(f"/{os.path.basename(outside)}", os.O_CREAT | os.O_RDWR, 0o600),
]
truncation = [
    lambda: os.truncate(f"{outside}/kept", 0),
    lambda: os.open(f"{outside}/kept", os.O_TRUNC),
]
in_c = [
    lambda: query(f"attach '{outside}/attached' as a; create table a.t(c)"),
    lambda: query(f"vacuum into '{outside}/vacuumed'"),
]

def done(attacks):
    for name in attacks:
        for number, attack in enumerate(globals()[name]):
            with contextlib.suppress(OSError, sqlite3.Error):
                attack()
                yield f"{name} {number}"
"""

LAYERS = {
    ("audit hook",): ("processes", "memory", "files", "truncation", "devices"),
    ("seccomp",): ("calls", "processes", "devices"),
    ("Landlock",): ("memory", "files", "devices", "in_c"),  # of truncation only since Linux 6.2
    ("bubblewrap",): ("processes", "memory", "files", "truncation", "devices", "in_c"),
    ("bubblewrap", "Landlock", "seccomp", "audit hook"): (
        "calls", "processes", "memory", "files", "truncation", "devices", "in_c",
    ),
}  # fmt: skip


def run(source: str, limits: Limits = Limits(seconds=5)) -> RunVerdict:  # noqa: B008
    return execute(Program(source=textwrap.dedent(source)), limits)


def keep_only(layers, monkeypatch, folder: Path) -> None:
    """Let programs run behind those layers alone."""
    if "bubblewrap" not in layers:
        monkeypatch.setattr(infill_execution, "bubblewrap", lambda: None)
    texts = {name: JAIL.with_name(name).read_text() for name in ("jail.py", "jail_kernel.py", "jail_hook.py")}
    for layer, (name, text, other) in WITHOUT.items():
        if layer not in layers:
            assert text in texts[name]
            texts[name] = texts[name].replace(text, other)
    for name, text in texts.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(infill_execution, "JAIL", folder / "jail.py")


@pytest.fixture
def victim():
    """A process that waits, and is still there at the end."""
    command = [sys.executable, "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


@pytest.mark.skipif(not LINUX, reason="the attacks are for Linux")
@pytest.mark.parametrize("layers", LAYERS, ids=" ".join)
def test_each_layer_holds_what_it_promises(layers, monkeypatch, tmp_path, victim):
    missing = set(layers) - set(run("").protection.split(", "))
    if missing:
        pytest.skip(f"{', '.join(missing)}: not on this machine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    keep_only(layers, monkeypatch, tmp_path)
    is_root_alone = layers == ("seccomp",) and os.getuid() == 0  # whose privileges are given up with the filter
    groups = (*LAYERS[layers], "memory") if is_root_alone else LAYERS[layers]
    attacks = f"victim, outside = {victim}, {str(outside)!r}\n{ATTACKS}\nfound = [*done({groups})]"
    verdict = run(f"{attacks}\nassert not found, found")
    assert (verdict.outcome, verdict.detail) == ("passed", "")
    assert set(verdict.protection.split(", ")) - {"audit hook"} == set(layers) - {"audit hook"}
    assert [path.name for path in outside.iterdir()] == ["kept"] and (outside / "kept").read_text() == "kept"
    assert not Path("/dev/shm/outside").exists()


@pytest.mark.skipif(not KERNEL, reason="the filter is for Linux on x86-64 and AArch64")
def test_the_filter_refuses_processes_and_sockets_and_lets_a_program_signal_itself(monkeypatch, tmp_path):
    keep_only(["seccomp"], monkeypatch, tmp_path)
    for call in ("os.fork()", "os.system('true') == 0 or os.fork()", "os.setsid()", "os.kill(os.getppid(), 0)",
                 "__import__('socket').socket()", "__import__('subprocess').run(['true'])"):  # fmt: skip
        verdict = run(f"import os\n{call}")
        refused = "PermissionError: [Errno 1] Operation not permitted"
        assert (verdict.outcome, verdict.detail) == ("failed", refused), call
    own = """
        import fcntl, os, resource
        os.kill(os.getpid(), 0)
        fcntl.lockf(open("own", "w"), fcntl.LOCK_EX)
        resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (9, 9))
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    """
    assert run(own).outcome == "passed"
    assert run("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (65, 65))").detail.startswith("ValueError")


ORDINARY = """
import asyncio, concurrent.futures, os, random, shutil, sqlite3, sys, tempfile, time, zoneinfo
os.makedirs("a/b"); os.makedirs("c")
open("a/b/x", "w").write("x")
os.rename("a/b/x", "a/b/y"); shutil.copy("a/b/y", "c"); shutil.move("c/y", "a/z"); shutil.rmtree("c")
with tempfile.TemporaryFile() as stream, tempfile.TemporaryDirectory(), open(os.devnull, "w") as sink:
    stream.write(b"x"); sink.write("x")
sqlite3.connect(":memory:").execute("create table t(c)")
sqlite3.connect("base").execute("create table t(c)")
asyncio.run(asyncio.sleep(0))
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(time.sleep, [0, 0]))
random.SystemRandom().random(), os.urandom(1), os.get_inheritable(0), sys.stdout.isatty()
print(open("/dev/stdin").read())
"""


def test_ordinary_programs_are_not_disturbed(monkeypatch):
    program = Program(source=ORDINARY, runs=(Run(input="given", outputs=("given",)),))
    assert execute(program, Limits()).detail == ""
    monkeypatch.setattr(infill_execution, "bubblewrap", lambda: None)
    assert execute(program, Limits()).detail == ""


@pytest.mark.skipif(not LINUX, reason="other systems have no such flag")
def test_the_memory_of_the_evaluation_is_private_while_programs_run(monkeypatch):
    def dumpable() -> int:
        return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)

    seen = []
    monkeypatch.setattr(
        infill_verdicts, "execute", lambda *_: (seen.append(dumpable()), RunVerdict(outcome="passed"))[1]
    )
    before = dumpable()
    run_programs({"a": Program(source="")}, Limits(), 1, VerdictLog(None), lambda: None)
    assert (seen, dumpable()) == ([0], before)
