"""Programs that misbehave in earnest, and what becomes of them."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from quicksilver.benchmarks.sandbox import execution as infill_execution
from quicksilver.benchmarks.sandbox.execution import JAIL, Limits, Program, Run, execute
from quicksilver.benchmarks.sandbox.verdicts import KeptVerdict, VerdictLog, name_of, run_programs
from quicksilver.fim.errors import InputError

SHORT = Limits(seconds=1.0, memory_mb=256)
KERNEL = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")


def run(source, limits=Limits(), runs=()):  # noqa: B008
    return execute(Program(source=textwrap.dedent(source), runs=runs), limits)


def left_over():
    """Processes of programs that still run, with their parents; those that end meanwhile are passed over."""
    return [p for p in psutil.process_iter(["cmdline", "ppid"]) if str(JAIL) in (p.info["cmdline"] or [])]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert not [p for p in left_over() if p.info["ppid"] == os.getpid()]


def test_a_right_program_passes_and_a_wrong_one_fails():
    assert run("assert 1 + 1 == 2").outcome == "passed"
    wrong = run("assert 1 + 1 == 3, 'no sum'")
    assert (wrong.outcome, wrong.detail) == ("failed", "AssertionError: no sum")
    assert wrong.protection.endswith("seccomp, audit hook" if KERNEL else "audit hook")
    for source, error in (("def f(:", "SyntaxError"), ("x = '\ud800'", "UnicodeEncodeError"), ("x = '\0'", "")):
        verdict = run(source)
        assert verdict.outcome == "failed" and verdict.detail.startswith(error), source


@pytest.mark.parametrize(
    "source", ["while True: pass", "import time\ntime.sleep(60)", "import os\nos.read(os.pipe()[0], 1)"]
)
def test_an_endless_program_is_stopped(source):
    start_s = time.monotonic()
    assert run(source, SHORT).outcome == "timeout"
    assert time.monotonic() - start_s < 10


def test_a_memory_hog_is_stopped():
    assert run("held = []\nwhile True: held.append(bytearray(10_000_000))", Limits(memory_mb=256)).outcome == "memory"
    assert run("'x' * 10**11").outcome == "memory"
    stubborn = """
        held = []
        while True:
            try:
                held.append(bytearray(10_000_000))
            except MemoryError:
                pass
    """
    assert run(stubborn, SHORT).outcome == "timeout"


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import os\nos.system('true')",
        "import os\nos.posix_spawn('/bin/true', ['true'], {})",
        "import os\nos.execv('/bin/true', ['true'])",
        "import subprocess\nsubprocess.run(['true'])",
        "import multiprocessing\np = multiprocessing.get_context('spawn').Process(target=print)\np.start()",
        "import multiprocessing\np = multiprocessing.get_context('fork').Process(target=print)\np.start()",
    ],
)
def test_a_program_that_starts_child_processes_is_stopped(source):
    verdict = run(source)
    assert (verdict.outcome, verdict.detail.split(":")[0]) == ("failed", "PermissionError")


def test_a_fork_bomb_makes_no_process():
    before = len(psutil.pids())
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    assert run(bomb, SHORT).outcome == "timeout"
    assert len(psutil.pids()) < before + 20


def test_threads_are_fine():
    assert run("import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()").outcome == "passed"


def test_there_is_no_network():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        verdict = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)")
        assert verdict.outcome == "failed" and "PermissionError" in verdict.detail
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_files_outside_are_neither_written_nor_removed(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    for call in (f"open({str(kept)!r}, 'w')", f"os.remove({str(kept)!r})", f"os.rename({str(kept)!r}, 'x')",
                 f"shutil.rmtree({str(tmp_path)!r})", f"os.symlink('/', {str(tmp_path / 'link')!r})"):  # fmt: skip
        assert run(f"import os, shutil\n{call}").outcome == "failed", call
    assert kept.read_text() == "kept" and [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (
        run("open('own', 'w').write('x')\nassert open('own').read() == 'x'\nimport os\nos.remove('own')").outcome
        == "passed"
    )


def test_the_folder_is_empty_and_so_is_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_USER", "1")
    assert (
        run("import os, sys\nassert os.listdir() == [] and 'SECRET_OF_THE_USER' not in os.environ").outcome == "passed"
    )
    assert run("import numpy").detail.startswith("ModuleNotFoundError")


def test_too_much_output_is_an_error_and_fills_no_disk():
    assert run("while True: print('x' * 10_000)").outcome == "failed"


@pytest.mark.parametrize(
    "source", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "exit()", "raise KeyboardInterrupt"]
)
def test_leaving_before_the_tests_does_not_pass(source):
    assert run(source + "\nassert False").outcome == "failed"


def test_a_crash_is_told_from_a_failure():
    assert run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)").outcome == "crashed"
    assert run("def f(): f()\nf()").detail.startswith("RecursionError")


SEARCH = """
import functools, gc, os, sys
def write(text):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, text)
        except OSError:
            pass
def use(value):
    if isinstance(value, bytes):
        write(value)
    if isinstance(value, functools.partial):
        value()
"""
FORGERIES = {
    "words": "write(b'passed'); os._exit(0)",
    "the former format": 'write(b\'{"outcome": "passed", "detail": ""}\\n\'); os._exit(0)',
    "nested": "write(b'[' * 50_000); os._exit(0)",
    "no words": "os._exit(0)",
    "a status": "os._exit(139)",
    "frames": """
frame = sys._getframe()
while frame := frame.f_back:
    for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
        use(value)
os._exit(0)""",
    "objects": """
for value in gc.get_objects():
    use(value)
os._exit(0)""",
    "referrers": """
for value in gc.get_referrers(os.write):
    use(value)
os._exit(0)""",
    "the pipe": """
for name in os.listdir('/proc/self/fd'):
    use(open(f'/proc/self/fd/{name}', 'rb', 0).read(64))
os._exit(0)""",
    "functions": """
os.write = os._exit = sys.exit = lambda *_: None
assert False""",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_program_writes_its_verdict(name):
    assert run(SEARCH + FORGERIES[name], SHORT).outcome in ("failed", "crashed")


def test_words_before_the_end_spoil_the_verdict():
    assert run(SEARCH + "write(b'x')").detail == "the program wrote over its verdict"
    assert run(SEARCH + "write(b'failed \\xff' + b'x' * 3000); os._exit(1)").detail == "\ufffd" + "x" * 199


def test_a_signal_without_a_name_is_told():
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGRTMIN + 2)"
    assert (run(source).outcome, run(source).detail) == ("crashed", f"signal {signal.SIGRTMIN + 2}")


def test_input_and_output_decide_where_there_are_runs():
    runs = (Run(input="1\n", outputs=("2\n",)), Run(input="5\n", outputs=("0", "6")))
    assert run("print(int(input()) + 1)", runs=runs).outcome == "passed"
    assert run("print(int(input()) + 1)\nexit(0)", runs=runs).outcome == "passed"
    assert run("print(2)", runs=runs).detail == "another output"
    assert run("input()\ninput()", runs=runs).detail.startswith("EOFError")


def test_the_order_of_a_set_is_always_the_same():
    program = "print(list({'alpha', 'beta', 'gamma', 'delta'}))"
    first = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True
    )
    assert run(program, runs=(Run(input="", outputs=(first.stdout,)),)).outcome == "passed"


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"seconds": float("nan")}, {"memory_mb": 1}])
def test_limits_are_checked(wrong):
    with pytest.raises(ValueError, match="seconds and from 64 MB"):
        Limits(**wrong)


def test_verdicts_are_kept_and_each_program_runs_once(tmp_path, monkeypatch):
    kept, programs = tmp_path / "verdicts", {str(i): Program(source=f"assert {i} < 2") for i in range(4)}
    named = {name_of(program, SHORT): program for program in programs.values()}
    done: list[int] = []
    with VerdictLog(kept) as log:
        run_programs(named, SHORT, 2, log, lambda: done.append(1))
        outcomes = [log.find(name) for name in named]
    assert [v and v.outcome for v in outcomes] == ["passed", "passed", "failed", "failed"] and len(done) == 4
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:3]) + lines[3][:-5])  # killed while it wrote
    ran: list[Program] = []
    monkeypatch.setattr(
        "quicksilver.benchmarks.sandbox.verdicts.execute", lambda p, limits: (ran.append(p), execute(p, limits))[1]
    )
    with VerdictLog(kept) as log:
        run_programs(named, SHORT, 2, log, lambda: done.append(1))
        assert all(log.find(name) for name in named)
    assert len(ran) == 1 and len(done) == 8


def test_an_interruption_keeps_what_has_run(tmp_path):
    named = {str(i): Program(source="import time\ntime.sleep(0.2)") for i in range(50)}

    def interrupted():
        raise KeyboardInterrupt

    with VerdictLog(tmp_path / "verdicts") as log, pytest.raises(KeyboardInterrupt):
        run_programs(named, SHORT, 2, log, interrupted)
    assert len((tmp_path / "verdicts").read_text().splitlines()) == 1
    with pytest.raises(InputError, match="holds no verdicts"):
        (tmp_path / "other").write_text("{}\n")
        VerdictLog(tmp_path / "other")
    assert KeptVerdict("a", run("")).verdict.outcome == "passed"


def test_the_jail_is_a_file_of_the_package():
    assert Path(infill_execution.__file__).parent / "jail.py" == JAIL and JAIL.is_file()
