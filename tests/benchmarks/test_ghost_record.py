"""What looks at a screen say of the texts that came up on it."""

import json
from pathlib import Path

from quicksilver.benchmarks.replay.blocks import TypedBlock
from quicksilver.benchmarks.replay.ghost_record import GhostRecord, GhostScreen, Look

TARGET = "import json\nimport sys\n"


def screen(*looks):
    found = GhostScreen(TypedBlock(Path("/pkg"), "a.py", TARGET, 0, len(TARGET)))
    for at_ms, offset, text in looks:
        found.take(Look(at_ms, offset, text))
        found.settle(at_ms, offset)
    return found


def texts(found):
    return [(each.text, each.n_right, round(each.visible_ms), each.ends) for each in found.shown]


def test_a_text_that_is_typed_is_one_text():
    found = screen((0, 2, "port json"), (150, 3, "ort json"), (160, 4, "rt json"), (300, 11, ""), (400, 11, ""))
    assert texts(found) == [("port json", 9, 300, "typed")]


def test_a_text_that_gives_way_to_another_is_gone_and_flickers():
    found = screen((0, 2, "pale"), (90, 3, "ort"), (400, 3, ""), (500, 3, ""))
    assert texts(found) == [("pale", 1, 90, "gone"), ("ort", 3, 310, "gone")]
    assert [each.flickers for each in found.shown] == [True, False]
    assert [each.is_right for each in found.shown] == [False, True]


def test_a_text_that_is_not_drawn_for_a_moment_is_still_there():
    found = screen((0, 2, "port"), (100, 3, ""), (110, 3, "ort"), (300, 3, ""), (400, 3, ""))
    assert texts(found) == [("port", 4, 300, "gone")]


def test_what_is_accepted_is_no_flicker():
    found = screen((0, 2, "port"))
    assert found.now is not None
    assert found.rest(3) == "ort"
    found.now.n_accepted = 4
    found.take(Look(100, 6, ""))
    found.settle(200, 6)
    assert texts(found) == [("port", 4, 100, "accepted")] and not found.shown[0].flickers


def test_a_record_is_read_as_it_grows(tmp_path):
    file = tmp_path / "record.jsonl"
    record = GhostRecord(file)
    assert list(record.new()) == []
    file.write_text(json.dumps([1.5, 3, "ort"]) + "\n[2")
    assert list(record.new()) == [Look(1.5, 3, "ort")]
    with file.open("a") as more:
        more.write('.5, 4, ""]\n')
    assert list(record.new()) == [Look(2.5, 4, "")]
