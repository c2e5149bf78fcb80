"""What is written whole, and what stays what it is."""

import os
import threading
from pathlib import Path

import pytest
from quicksilver.fim.files.atomic_write import write_whole


def test_a_file_is_replaced_and_leaves_nothing_beside_it(tmp_path: Path):
    (tmp_path / "a.part").write_text("somebody's")
    write_whole(tmp_path / "a", "new")
    write_whole(tmp_path / "a", "newer")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "newer", "a.part": "somebody's"}


def test_a_link_stays_and_its_target_is_written(tmp_path: Path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "new")
    reader.join(10)
    assert read == ["new"] and pipe.is_fifo()


def test_what_cannot_be_written_is_left_as_it_was(tmp_path: Path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path, "new")
