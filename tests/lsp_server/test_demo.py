"""What the demo shows of its answers, and which one it plays."""

import io
from typing import Any

import pytest
from quicksilver.cli.demo import EXAMPLES, Trial, most_denoised
from quicksilver.cli.demo_holes import load_holes, typed_further
from quicksilver.cli.demo_view import is_right, show_steps, show_summary, show_trial
from quicksilver.cli.trace_view import first_line
from quicksilver.fim.terminal.console import PipedConsole

HOLES = load_holes(EXAMPLES)


def answer(text: str, *, source="denoiser", steps=3, cause="answered", confidence=0.957) -> dict[str, Any]:
    facts = {"text": text, "source": source, "steps": steps, "confidence": confidence, "reason": "no reason"}
    return {**facts, "cause": cause if text else "unsure", "timings_ms": {"engine": 12.3}, "model": "m", "others": []}


def trial(hole=HOLES[3], typing="", further="", request="") -> Trial:
    return Trial(
        hole=hole, typing=answer(typing), further=typed_further(hole, 0.5), typing_further=answer(further),
        request=answer(request),
    )  # fmt: skip


def printed(show, *arguments):
    file = io.StringIO()
    show(PipedConsole(file=file, width=80, highlight=False), *arguments)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.name)
def test_a_hole_fits_an_80_column_terminal(hole):
    long = "x" * 100
    lines = printed(show_trial, trial(hole, long, long, f"{long}\n{long}\n\x1b[31m"), 1, 8)
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line for line in lines)


def test_an_answer_has_a_mark_how_sure_it_is_and_its_time():
    lines = printed(show_trial, trial(typing="self", further="ses = 0", request="other()"), 4, 8)
    rows = {line[1:13].strip(): line for line in lines}
    assert rows["while typing"].split() == ["while", "typing", "✓", "self", "95", "%", "sure", "12", "ms"]
    assert "✓ self.mis▏ses = 0 " in rows["half typed"]
    assert "✗ other() " in rows["on request"]
    nothing = printed(show_trial, trial(), 4, 8)
    assert sum("nothing: only 95 % sure" in line for line in nothing) == 3


def test_the_summary_counts_what_an_editor_would_have_shown():
    trials = [trial(typing="self", further="wrong", request="self.misses = 0"), trial(request="self")]
    lines = printed(show_summary, trials, 8)
    assert lines[1] == "This machine is slow or busy: only 2 of 8 holes were asked for."
    assert lines[2] == "While typing: 2 of 4 suggestions shown, 1 of them right; median 12 ms"
    assert lines[3] == "On request: 1 of 2 exactly what was cut out; median 12 ms"


def test_the_beginning_of_what_was_cut_out_is_right_and_nothing_is_not():
    assert is_right(answer("self.m"), "self.misses")
    assert not is_right(answer("self.misses = 1"), "self.misses")
    assert not is_right(answer(""), "self.misses")


def test_an_answer_that_was_denoised_is_played_and_a_right_one_first():
    hole = HOLES[3]
    copied = Trial(
        hole=hole, typing=answer(""), further=hole, typing_further=answer(""),
        request=answer(hole.expected, source="file", steps=9),
    )  # fmt: skip
    wrong, right, empty = (trial(request=text) for text in ("no", hole.expected, ""))
    wrong.request["steps"] = 30
    assert most_denoised([copied, wrong, right, empty]) is right
    assert most_denoised([copied, wrong]) is wrong
    assert most_denoised([copied, empty]) is None


def test_steps_are_numbered_and_end_with_the_line():
    cells = [{"text": "a", "state": "kept"}, {"text": "\n  b", "state": "new"}, {"text": "c", "state": "new"}]
    assert [cell["text"] for cell in first_line(cells)] == ["a", "\n"]
    more = [*cells, {"text": "d", "state": "new"}]
    trace = [{"step": 7, "elapsed_ms": ms, "cells": shown} for ms, shown in ((1.0, cells), (2.0, more))]
    for model, how in (("base", "predicted at once"), ("coder", "from left to right")):
        lines = printed(show_steps, HOLES[3], {"model": model, "trace": trace})
        assert "step   1      1.0 ms  a⏎" in lines
        assert how in "\n".join(lines) and "2.0 ms" not in "\n".join(lines)
