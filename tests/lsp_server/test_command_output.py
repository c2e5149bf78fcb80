"""What commands print of other people's text: a terminal shows it and never acts on it."""

import json
import logging
import sys
from dataclasses import replace

import pytest
from quicksilver.cli import complete, doctor
from quicksilver.cli.main import COMMANDS, main
from quicksilver.cli.serve import main as serve
from quicksilver.fim.terminal.console import open_console
from quicksilver.fim.terminal.logs import log_to_stderr
from rich.table import Table

HOSTILE = "\x1b]0;owned\x07\u202e\x9b31m"
SHOWN = r"\x1b]0;owned\x07\u202e\x9b31m"


def is_safe(text):
    return not any(char in text for char in "\x1b\x07\u202e\x9b")


def test_a_console_escapes_whatever_is_printed(capsys):
    console = open_console()
    table = Table(title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(HOSTILE, markup=False)
    console.print(table)
    console.print_json(json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False))
    printed = capsys.readouterr().out
    assert is_safe(printed)
    assert r"\x1b]0;owned" in printed


@pytest.mark.parametrize(("is_terminal", "printed"), [(True, f"a\n{SHOWN}\n"), (False, f"a\n{HOSTILE}\n")])
def test_a_completion_is_escaped_for_a_terminal_and_exact_for_a_pipe(capsys, monkeypatch, is_terminal, printed):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    print(complete.for_stdout(f"a\n{HOSTILE}"))
    assert capsys.readouterr().out == printed


def test_doctor_escapes_what_an_engine_says(capsys, monkeypatch):
    async def gather(model, timeout_s):
        return [doctor.Finding(name="checkpoint", ok=False, fact=HOSTILE)]

    monkeypatch.setattr(doctor, "_gather", gather)
    assert doctor.run_doctor(None, 1.0, "0.0.0") == 1
    captured = capsys.readouterr()
    assert is_safe(captured.out)
    assert captured.err == f"quicksilver: checkpoint is broken: {SHOWN}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["complete", f"{HOSTILE}.py:1:1"],
        ["complete", "x.py:1:1", f"--{HOSTILE}"],
        ["complete", "x.py:1:1", "--model", HOSTILE],
        ["complete", "x.py:1:1", "--policy", HOSTILE],
        [HOSTILE],
        ["bench", HOSTILE],
        ["bench", "latency", f"--{HOSTILE}"],
        ["eval", HOSTILE],
        ["train", HOSTILE],
        ["serve", f"--{HOSTILE}"],
        ["serve", "--model", HOSTILE],
    ],
)
def test_a_wrong_argument_is_quoted_without_its_controls(capsys, arguments):
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    message = capsys.readouterr().err
    assert (code, message.count("\n")) == (2, 1)
    assert is_safe(message)


def test_serve_escapes_names_in_a_checkpoint(capsys, monkeypatch, tmp_path):
    from quicksilver.fim.errors import InputError

    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path / "home"))

    def load(checkpoint, n_threads):
        raise InputError(f"unexpected key {HOSTILE}")

    def serve_at_once(options, home, load_infiller):
        load_infiller(None, None)
        return 0

    monkeypatch.setattr("quicksilver.cli.serve._serve", serve_at_once)
    assert serve([], load=load) == 2
    assert is_safe(capsys.readouterr().err)


def test_the_server_log_escapes_what_an_editor_says(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        log_to_stderr("info")
        logging.getLogger("quicksilver.x").warning("not open: %s", HOSTILE)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert SHOWN in capsys.readouterr().err


@pytest.mark.parametrize(("name", "command"), [("stdin", "lsp"), ("stdout", "settings"), ("stderr", "complete")])
def test_closed_standard_streams_are_no_traceback(monkeypatch, capfd, name, command):
    monkeypatch.setattr(sys, name, None)  # as Python starts where the shell has closed it
    arguments = [command] if command != "complete" else [command, "no.py:1:1"]
    lsp = replace(COMMANDS["lsp"], run=lambda options: sys.stdin.fileno() and 0)
    monkeypatch.setitem(COMMANDS, "lsp", lsp)
    code = main(arguments)
    getattr(sys, name).close()
    assert (code, capfd.readouterr().err) == (2 if command == "complete" else 0, "")


def test_doctor_says_what_a_gpu_needs(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name == "torch" else "1.0")
    monkeypatch.setattr(doctor, "has_gpu_driver", lambda: True)
    facts = {finding.name: finding.fact for finding in doctor.check_installation("0.1.0")}
    assert facts["runtimes"] == "openvino 1.0, torch not installed (to use the GPU: pip install 'quicksilver-lsp[gpu]')"
    monkeypatch.setattr(doctor, "has_gpu_driver", lambda: False)
    facts = {finding.name: finding.fact for finding in doctor.check_installation("0.1.0")}
    assert "for GPUs" in facts["runtimes"]
