"""The folder of a program, whether bubblewrap is used, and what the report says of both."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from quicksilver.benchmarks.sandbox import execution as infill_execution
from quicksilver.benchmarks.sandbox.bubblewrap import bubblewrap, isolation, own_folder
from quicksilver.benchmarks.sandbox.execution import Limits, Program, execute

NEST = """
import os
folder = os.open(".", os.O_RDONLY)
for _ in range(1100):
    os.mkdir("in", dir_fd=folder)
    inner = os.open("in", os.O_RDONLY, dir_fd=folder)
    os.close(folder)
    folder = inner
os.symlink("/", "link", dir_fd=folder)
os.chmod(folder, 0)
"""


def test_folders_nested_deeply_are_removed(monkeypatch):
    if os.access("/dev/shm", os.W_OK):  # thousands of changes take seconds on a disk
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    monkeypatch.setattr(infill_execution, "bubblewrap", lambda: None)
    made = []
    monkeypatch.setattr(infill_execution, "own_folder", lambda: kept_in(made))
    assert execute(Program(source=NEST), Limits(seconds=60)).outcome == "passed"
    assert made and not Path(made[0]).exists()


@contextmanager
def kept_in(made: list[str]):
    """own_folder, and its name in made."""
    with own_folder() as folder:
        made.append(folder)
        yield folder


def test_a_folder_turned_into_a_link_is_not_followed(tmp_path):
    (tmp_path / "kept").write_text("kept")
    with own_folder() as folder:
        Path(folder).rmdir()
        Path(folder).symlink_to(tmp_path)
    assert (tmp_path / "kept").read_text() == "kept"
    Path(folder).unlink()


def test_a_bubblewrap_that_does_not_work_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bubblewrap.__wrapped__() is None
    (tmp_path / "bwrap").unlink()
    assert bubblewrap.__wrapped__() is None


def test_the_report_says_what_held_programs_back():
    best = "bubblewrap, Landlock, seccomp, audit hook"
    assert isolation([]) == isolation([""]) == []
    assert isolation([best, "", best]) == [f"Programs were isolated by {best}."]
    for weak, unheld in (
        ("Landlock, seccomp, audit hook", []),
        ("bubblewrap, audit hook", []),
        ("seccomp, audit hook", ["writing to files elsewhere"]),
        ("audit hook", ["child processes and network and writing to files elsewhere"]),
    ):
        first, *rest = isolation([best, weak])
        assert "; others by " in first and [line.split(" were ")[0].removeprefix("Mind: ") for line in rest] == unheld
