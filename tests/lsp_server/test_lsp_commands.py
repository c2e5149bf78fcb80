"""The command line: exit codes, one-line complaints, and commands over a real engine process with a scripted model."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quicksilver.cli.demo import EXAMPLES
from quicksilver.cli.demo_holes import load_holes, typed_further
from quicksilver.cli.main import main
from quicksilver.fim.errors import InputError
from quicksilver.fim.files.source_file import parse_place
from quicksilver.fim.models.speeds import ModelSpeed, known_speeds, note_speed

ENGINE = Path(__file__).with_name("scripted_engine.py")
pytestmark = pytest.mark.slow
QUICKSILVER = [sys.executable, "-P", "-m", "quicksilver.cli"]


@pytest.fixture
def environ(tmp_path):
    return {**os.environ, "QUICKSILVER_HOME": str(tmp_path / "home"), "COLUMNS": "160"}


@pytest.fixture
def engine(environ):
    """A running engine with a scripted model, in a home of its own."""
    command = [sys.executable, "-P", str(ENGINE), "--idle-minutes", "1"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline_s = time.monotonic() + 20
    while not list(Path(environ["QUICKSILVER_HOME"]).glob("run/*.json")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


def quicksilver(environ, *arguments, timeout_s=60):
    command = [*QUICKSILVER, *map(str, arguments)]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout_s, check=False)
    lines = result.stderr.splitlines(keepends=True)
    result.stderr = "".join(line for line in lines if not line.endswith(" …\n"))  # what a slow machine waits for
    return result


def source(tmp_path, data=b"class A:\n    def f(self):\n        \n"):
    file = tmp_path / "some file.py"
    file.write_bytes(data)
    return file


def test_complete_on_request_prints_the_best_guess_and_how_sure_it_is(environ, engine, tmp_path):
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--invoke")
    assert (result.returncode, result.stdout) == (0, "self.misses = 0\n")
    assert result.stderr == "quicksilver: 75 % sure, denoised; 3 ms, model scripted\n"


def test_complete_shows_what_an_editor_would_and_says_why_nothing(environ, engine, tmp_path):
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith("quicksilver: an editor shows nothing here: the model was not sure enough")
    assert "--invoke" in result.stderr and result.stderr.count("\n") == 1
    word = quicksilver(environ, "complete", f"{source(tmp_path)}:1:1")
    assert (word.returncode, word.stdout) == (0, "")
    assert "in front of a word" in word.stderr


def test_complete_in_another_language(environ, engine, tmp_path):
    file = tmp_path / "a.js"
    file.write_text("let x = \n", encoding="utf-8")
    silent = quicksilver(environ, "complete", f"{file}:1:9")
    assert (silent.returncode, silent.stdout) == (3, "")
    assert "knows only Python" in silent.stderr and "javascript" in silent.stderr
    assert silent.stderr.count("\n") == 1
    asked = quicksilver(environ, "complete", f"{file}:1:9", "--invoke")
    assert (asked.returncode, asked.stdout) == (0, "self.misses = 0\n")
    assert "knows only Python" in asked.stderr


def test_complete_json(environ, engine, tmp_path):
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--invoke", "--json", "--budget-ms", "500")
    assert result.returncode == 0
    facts = json.loads(result.stdout)
    where = {"line": 2, "character": 8}
    assert (facts["text"], facts["range"]) == ("self.misses = 0", {"start": where, "end": where})
    assert (facts["confidence"], facts["finish_reason"], facts["steps"]) == (0.75, "stop", 2)
    assert facts["model"] == "scripted"
    assert {"prefill", "denoise", "engine", "transport", "trim", "lsp", "total"} <= set(facts["timings_ms"])


def test_complete_trace_shows_every_step(environ, engine, tmp_path):
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--invoke", "--trace")
    assert result.returncode == 0
    steps = [line for line in result.stdout.splitlines() if line.startswith("step")]
    assert steps[0].endswith("s" + "░" * 14)
    assert steps[1].endswith("self.misses = 0")


def test_complete_on_bad_input_is_one_line_and_exit_2(environ, tmp_path):
    file = source(tmp_path)
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"a\0b")
    latin = tmp_path / "latin.py"
    latin.write_bytes("é".encode("latin-1"))
    pipe = tmp_path / "pipe.py"
    os.mkfifo(pipe)
    bad = {
        f"{tmp_path / 'missing.py'}:1:1": "there is no file",
        f"{tmp_path}:1:1": "is a folder",
        f"{binary}:1:1": "binary",
        f"{latin}:1:1": "not UTF-8",
        f"{pipe}:1:1": "not a regular file",
        f"{file}:99:1": "has 4 lines, there is no line 99",
        f"{file}:1:99": "has 8 characters, there is no column 99",
        f"{file}:0:1": "counted from 1",
        f"{file}:1:-2": "counted from 1",
        f"{file}": "is not FILE:LINE:COL",
        "x.py:one:2": "is not FILE:LINE:COL",
        "a\0b\x1b[31m.py:1:1": r"no file a\x00b\x1b[31m.py",
        "x" * 5000 + ".py:1:1": "cannot read",
    }
    if Path("/proc/self/mem").exists():
        bad["/proc/self/mem:1:1"] = "cannot read /proc/self/mem: "
    for target, complaint in bad.items():
        code, message = _in_process(["complete", target])
        assert code == 2, target
        assert complaint in message, target
        assert message.startswith("quicksilver: ")
        assert message.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_complete_on_an_unreadable_file(tmp_path):
    file = source(tmp_path)
    file.chmod(0)
    code, message = _in_process(["complete", f"{file}:1:1"])
    assert (code, message.count("\n")) == (2, 1)


def test_bad_options_are_one_line_and_exit_2(tmp_path):
    target = f"{source(tmp_path)}:1:1"
    for arguments in (
        ["complete", target, "--budget-ms", "-1"],
        ["complete", target, "--max-tokens", "0"],
        ["complete", target, "--model", str(tmp_path / "nowhere")],
        ["complete", target, "--policy", "guess"],
        ["complete"],
        ["conjure"],
        [],
        ["lsp", "--model", str(tmp_path / "nowhere")],
        ["bench", "latency", "--keys", "0"],
        ["bench"],
        ["demo", "--examples", str(tmp_path)],
    ):
        code, message = _in_process(arguments)
        assert (code, message.count("\n")) == (2, 1), (arguments, message)


def test_a_5_mb_line_and_a_secret_file_are_refused(environ, engine, tmp_path):
    long_line = tmp_path / "long.py"
    long_line.write_bytes(b"x = 1; " * 750_000)
    one_line = tmp_path / "line.py"
    one_line.write_bytes(b"x = 1; " * 5_000 + b"\ny = \n")
    secret = tmp_path / ".env"
    secret.write_bytes(b"TOKEN=")
    for target, complaint in (
        (f"{long_line}:1:1", "longer"),
        (f"{one_line}:1:9", "longer"),
        (f"{secret}:1:7", "secret"),
    ):
        result = quicksilver(environ, "complete", target)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result.stderr
        assert complaint in result.stderr
    assert quicksilver(environ, "complete", f"{one_line}:2:5").returncode == 0


def test_an_engine_killed_between_two_requests_and_one_that_cannot_start(environ, engine, tmp_path):
    engine.kill()
    engine.wait()
    damaged = tmp_path / "checkpoint"
    damaged.mkdir()
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--model", damaged)
    assert result.returncode in (1, 2)
    assert result.stdout == ""
    # A slow start is told after a second; then comes the one line that says what is wrong.
    told = [line for line in result.stderr.splitlines() if not line.startswith("quicksilver: starting")]
    assert len(told) == 1 and "Traceback" not in result.stderr, result.stderr


def test_complete_gives_up_in_time(environ, tmp_path):
    """The start lock is held by somebody who never starts an engine."""
    from filelock import FileLock
    from quicksilver.serving.paths import find_home

    home = find_home(None, environ)
    home.prepare()
    with FileLock(home.start_lock):
        result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--timeout-s", "2")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "no answer within 2 s" in result.stderr


def test_doctor_finds_all_well(environ, engine, monkeypatch):
    monkeypatch.setenv("QUICKSILVER_HOME", environ["QUICKSILVER_HOME"])
    slow = ModelSpeed(model="coder", device="cpu", key_ms=640, token_ms=2, resident_mb=951, measured_s=time.time())
    note_speed("key", slow)
    result = quicksilver({**environ, "COLUMNS": "500"}, "doctor")
    assert result.returncode == 0, result.stderr
    for fact in (
        "python", "runtimes", "device", "0123abcd", f"process {engine.pid}", "2 steps", "the engine holds",
        "scripted: as scripted", "coder: 640 ms a warm key, 500 tokens read a second on the cpu, 951 MB of memory;",
    ):  # fmt: skip
        assert fact in result.stdout
    assert "FAIL" not in result.stdout
    assert known_speeds()["key"].is_due(time.time())  # the next engine measures it again


def test_complete_says_which_model_answered_and_why(environ, engine, tmp_path):
    result = quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--invoke", "--verbose")
    assert result.returncode == 0, result.stderr
    assert "quicksilver: scripted: as scripted\n" in result.stderr
    assert "as scripted" not in quicksilver(environ, "complete", f"{source(tmp_path)}:3:9", "--invoke").stderr


def test_doctor_says_what_is_broken(environ, tmp_path):
    damaged = tmp_path / "checkpoint"
    damaged.mkdir()
    result = quicksilver(environ, "doctor", "--model", damaged)
    assert result.returncode == 1
    assert "FAIL" in result.stdout
    assert result.stderr.startswith("quicksilver: engine is broken: ")
    assert result.stderr.count("\n") == 1


def test_demo_asks_as_an_editor_does_and_counts_honestly(environ, engine):
    result = quicksilver({**environ, "COLUMNS": "80"}, "demo")
    assert result.returncode == 0, result.stderr
    holes = load_holes(EXAMPLES)
    n_equal = sum(hole.expected == "self.misses = 0" for hole in holes)
    lines = result.stdout.splitlines()
    assert f"While typing: 0 of {2 * len(holes)} suggestions shown, 0 of them right; median 3 ms" in lines
    assert f"On request: {n_equal} of {len(holes)} exactly what was cut out; median 3 ms" in lines
    assert sum("✓ self.misses = 0" in line for line in lines) == n_equal
    assert sum("✗ self.misses = 0" in line for line in lines) == len(holes) - n_equal
    assert sum("nothing: only 75 % sure" in line for line in lines) == 2 * len(holes)
    assert [line for line in lines if line.startswith("step   2")] == ["step   2      2.0 ms  self.misses = 0"]
    assert max(map(len, lines)) <= 80


def test_the_demo_holes_are_varied_and_fit():
    holes = load_holes(EXAMPLES)
    assert len(holes) >= 6
    assert len({hole.document.uri for hole in holes}) >= 3
    for hole in holes:
        whole = hole.document.text[: hole.offset] + hole.expected + hole.document.text[hole.offset :]
        compile(whole, hole.name, "exec")


def test_holes_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    for table, complaint in (
        ('[[hole]]\nfile = "a.py"\nanchor = "x ="\ntext = " 1"', "2 times"),
        ('[[hole]]\nfile = "a.py"\nanchor = "1\\nx"\ntext = "y"', "right after"),
        ('[[hole]]\nfile = "b.py"\nanchor = "x"\ntext = "y"', "no file"),
        ('[[hole]]\nfile = "a.py"', "needs file, anchor and text"),
        ("nonsense", "not TOML"),
    ):
        (tmp_path / "holes.toml").write_text(table, encoding="utf-8")
        with pytest.raises(InputError, match=complaint):
            load_holes(tmp_path)


def test_places_are_read_from_the_right():
    place = parse_place(r"C:\code\a:b.py:12:5")
    assert (str(place.path), place.line, place.column) == (r"C:\code\a:b.py", 12, 5)


def test_version_and_a_reader_that_goes_away(environ):
    result = quicksilver(environ, "--version")
    assert result.returncode == 0
    assert re.fullmatch(r"quicksilver \d+\.\d+\.\d+\n", result.stdout)
    command = " ".join(QUICKSILVER)
    piped = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} --help | true"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in piped.stderr


def _in_process(arguments):
    import contextlib
    import io

    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
    return code, stderr.getvalue()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_hole_typed_further_is_the_same_hole(share):
    for hole in load_holes(EXAMPLES):
        typed = typed_further(hole, share)
        whole = [h.document.text[: h.offset] + h.expected + h.document.text[h.offset :] for h in (hole, typed)]
        assert whole[0] == whole[1]
        assert hole.expected.endswith(typed.expected)
        assert typed.expected
