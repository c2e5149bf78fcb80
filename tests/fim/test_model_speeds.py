"""The file of measured speeds: kept, bounded, and never believed when it is damaged."""

import json
import os
from dataclasses import replace

import pytest
from quicksilver.fim.files.user_folders import speeds_file
from quicksilver.fim.models import speeds as model_speeds
from quicksilver.fim.models.speeds import (
    MOST_KEY_MS,
    N_MEASURED,
    ModelSpeed,
    known_speeds,
    note_speed,
    retry_slow_models,
    speed_key,
)

FAST = ModelSpeed(model="coder", device="cpu", key_ms=115, token_ms=1.6, resident_mb=900, measured_s=1e9)
SLOW = replace(FAST, key_ms=640)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_is_noted_is_known_again(home):
    assert known_speeds() == {}
    note_speed("a", FAST)
    note_speed("b", SLOW)
    assert known_speeds() == {"a": FAST, "b": SLOW}
    assert [path.name for path in home.iterdir()] == ["speeds.json"]


def test_the_best_of_several_measurements_is_kept():
    """A busy machine must not condemn a model for ever."""
    note_speed("a", replace(SLOW, token_ms=1.2))
    best = note_speed("a", replace(FAST, measured_s=2e9))
    assert (best.key_ms, best.token_ms, best.measured_s, best.n_measured) == (115, 1.2, 2e9, 2)
    assert note_speed("a", replace(SLOW, token_ms=9)).key_ms == 115
    assert note_speed("a", replace(SLOW, device="cuda")) == replace(SLOW, device="cuda")


def test_when_a_model_is_measured_again():
    hour_s = 3600.0
    assert not SLOW.is_due(1e9 + hour_s) and SLOW.is_due(1e9 + 25 * hour_s)
    assert SLOW.is_due(1e9 - hour_s)  # the clock was set back
    assert FAST.is_due(1e9 + 25 * hour_s)
    assert not replace(FAST, n_measured=N_MEASURED).is_due(1e9 + 25 * hour_s)
    assert replace(FAST, key_ms=MOST_KEY_MS).is_fast and not replace(FAST, key_ms=MOST_KEY_MS + 1).is_fast


def test_doctor_has_slow_models_measured_again():
    note_speed("a", FAST)
    note_speed("b", SLOW)
    retry_slow_models()
    assert known_speeds()["a"] == FAST
    assert known_speeds()["b"].is_due(1e9)


DAMAGED = (
    b"", b"\xff\xfe", b"{", b"[]", b"null", b"[" * 100_000, b'{"a": 1}', b'{"a": {}}', b'{"a": {"model": "x"}}',
    *(
        json.dumps({"a": {**vars(FAST), **change}}).encode()
        for change in (
            {"key_ms": "1"}, {"key_ms": None}, {"key_ms": -1}, {"key_ms": 1e300}, {"key_ms": float("nan")},
            {"token_ms": float("inf")}, {"model": 7}, {"model": "x" * 1000}, {"model": "a\nb"}, {"n_measured": 0},
            {"n_measured": True}, {"measured_s": [1]}, {"more": 1},
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_ignored_and_replaced(content):
    speeds_file().parent.mkdir(parents=True)
    speeds_file().write_bytes(content)
    assert known_speeds() == {}
    note_speed("b", FAST)
    assert known_speeds() == {"b": FAST}


def test_one_strange_entry_does_not_spoil_the_others():
    note_speed("a", FAST)
    found = json.loads(speeds_file().read_text())
    speeds_file().write_text(json.dumps({**found, "b": 1, "c": {"model": "y"}}))
    assert known_speeds() == {"a": FAST}


def test_a_link_a_pipe_and_a_folder_are_not_read(home):
    home.mkdir()
    (home / "other").write_text("{}")
    speeds_file().symlink_to(home / "other")
    assert known_speeds() == {}
    note_speed("a", FAST)
    assert known_speeds() == {"a": FAST} and (home / "other").read_text() == "{}"
    speeds_file().unlink()
    os.mkfifo(speeds_file())
    assert known_speeds() == {}
    speeds_file().unlink()
    speeds_file().mkdir()
    assert known_speeds() == {}
    assert note_speed("a", FAST) == FAST  # not kept, and told in the log
    assert sorted(path.name for path in home.iterdir()) == ["other", "speeds.json"]


def test_a_home_that_cannot_be_written_is_told_in_the_log(home, caplog):
    home.write_text("a file")
    assert note_speed("a", FAST) == FAST
    assert known_speeds() == {} and "cannot store" in caplog.text


def test_the_file_stays_small():
    for i in range(100):
        note_speed(str(i), replace(FAST, measured_s=1e9 + i))
    assert sorted(map(int, known_speeds())) == list(range(36, 100))


def test_what_a_speed_is_known_by(monkeypatch):
    key = speed_key("abc", "1.0", 2, "cpu")
    assert key == speed_key("abc", "1.0", 2, "cpu")
    others = [speed_key("abd", "1.0", 2, "cpu"), speed_key("abc", "1.1", 2, "cpu"), speed_key("abc", "1.0", 4, "cpu")]
    others.append(speed_key("abc", "1.0", 2, "cuda"))
    monkeypatch.setattr(model_speeds, "_processor", lambda: "another")
    others.append(speed_key("abc", "1.0", 2, "cpu"))
    assert len({key, *others}) == 6
