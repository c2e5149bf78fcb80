"""The protocol benchmark: a small run of it, and what it compares with."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.benchmarks.robustness.broken_messages import broken_message
from quicksilver.benchmarks.robustness.naive_text import NaiveText, random_edit
from quicksilver.benchmarks.robustness.protocol import ENCODINGS, ProtocolPlan, run_protocol
from quicksilver.fim.text.document import Document, TextChange
from quicksilver.fim.text.positions import Position
from quicksilver.lsp_server.protocol.framing import FrameReader


def test_a_small_run(tmp_path):
    plan = ProtocolPlan(n_edits=40, storm_s=0.5, storm_per_s=40, fuzz_s=0.5)
    code = run_protocol(plan, tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text())
    parts = [*result["edits"].values(), result["storm"], result["fuzz"]]
    assert [(part["wrong"], part["unanswered"], part["exit_code"]) for part in parts] == [(0, 0, 0)] * 5
    assert code == 0
    assert result["storm"]["n"] == 20 and result["fuzz"]["n"] > 0


@given(st.integers(0, 2**32), st.sampled_from(ENCODINGS))
def test_random_edits_do_the_same_to_both(seed, encoding):
    rng, naive = random.Random(seed), NaiveText("a\r\nb")
    document = Document("u", 1, "python", naive.text)
    for _ in range(5):
        change = random_edit(rng, naive, encoding)
        start, end = (Position(**change["range"][name]) if "range" in change else None for name in ("start", "end"))
        document = document.with_changes([TextChange(start, end, change["text"])], 1, encoding)
        assert document.text == naive.text


def test_the_comparison_sees_a_wrong_position(monkeypatch):
    monkeypatch.setattr("quicksilver.benchmarks.robustness.naive_text.width", lambda character, encoding: 1)
    assert NaiveText("\U0001f642x").offset((0, 2), "utf-16") == 2
    monkeypatch.undo()
    assert NaiveText("\U0001f642x").offset((0, 2), "utf-16") == 1


@pytest.mark.parametrize("seed", range(20))
def test_broken_messages_are_whole_frames_and_never_end_the_server(seed):
    rng, frames = random.Random(seed), FrameReader()
    for i in range(200):
        data, is_request = broken_message(rng, i)
        [body] = frames.feed(data)
        assert b'"exit"' not in body or not body.startswith(b"{")
        assert b'"shutdown"' not in body
        assert not is_request or json.loads(body)["id"] == i
