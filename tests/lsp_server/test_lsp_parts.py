"""The server's parts on their own: settings, sessions, the engine's rest, what travels to the engine, the trace."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.cli.trace_view import draw_frame, draw_trace, svg, visible
from quicksilver.fim.ablations import FORMER_RULES, RULES
from quicksilver.fim.errors import CheckpointError, EngineBusy, EngineUnavailable
from quicksilver.fim.text.document import Document
from quicksilver.fim.types import Completion, CompletionRequest, Hole
from quicksilver.lsp_server.answering.answers import Answer, Answers
from quicksilver.lsp_server.answering.completion import complete_inline
from quicksilver.lsp_server.answering.engine_request import MAX_PREFIX_CHARS, MAX_SUFFIX_CHARS, PREFIX_JUMP_CHARS, clip
from quicksilver.lsp_server.answering.ghost_text import last_shown
from quicksilver.lsp_server.answering.question import Question, Surroundings
from quicksilver.lsp_server.engine_backoff import EngineCare
from quicksilver.lsp_server.protocol.endpoint import StrictServer
from quicksilver.lsp_server.sessions import Session, Sessions
from quicksilver.lsp_server.settings import Settings, camel_case, read_settings, snake_case
from quicksilver.serving.wire import EngineHealth


def document(text="value = \n", uri="file:///a.py"):
    return Document(uri=uri, version=1, language="python", text=text)


def ask(text="value = \n", offset=8):
    return Question(id="1", uri="file:///a.py", document=document(text), offset=offset, invoked=True, received_s=0.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*Settings.__dataclass_fields__, "model", "path"])


@given(st.dictionaries(NAMES, JSON, max_size=6) | JSON)
def test_any_options_give_settings_and_one_complaint_per_bad_one(options):
    settings, complaints = read_settings(options)
    assert 1 <= settings.budget_ms <= 60_000
    assert isinstance(settings.enabled, bool)
    assert all("\n" not in complaint for complaint in complaints)
    if isinstance(options, dict):
        assert len(complaints) <= len(options)


@pytest.mark.parametrize("name", ["model", "path", "interpreter", "url", "log_file", "threads", "QUICKSILVER_HOME"])
def test_a_workspace_cannot_name_what_runs(name):
    settings, complaints = read_settings({name: "/tmp/evil"})
    assert settings == Settings()
    assert len(complaints) == 1


def test_names_may_be_in_camel_case_and_null_is_the_default():
    settings, complaints = read_settings(
        {"minConfidence": 0.5, "maxWorkspaceFiles": 7, "budget_ms": None, "policy": None}
    )
    assert complaints == []
    assert settings == Settings(min_confidence=0.5, max_workspace_files=7)
    for name in Settings.__dataclass_fields__:
        assert snake_case(camel_case(name)) == snake_case(name) == name


def test_good_settings_are_taken():
    options = {
        "budget_ms": 50,
        "languages": ["python", "toml"],
        "policy": "one",
        "log_level": "debug",
        "max_tokens": None,
    }
    settings, complaints = read_settings(options)
    assert complaints == []
    assert (settings.budget_ms, settings.languages, settings.policy) == (50.0, ("python", "toml"), "one")


def test_a_rule_that_is_gone_may_still_be_named():
    settings, complaints = read_settings({"without": ["half-word", "block"]})
    assert complaints == [] and settings.without == ("half-word", "block")
    assert not FORMER_RULES & {*RULES}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"budgetMs": 0}, "settings.budgetMs must be a number, at least 1; 300.0 is used"),
        ({"budget_ms": float("nan")}, "settings.budget_ms must be a number, at least 1; 300.0 is used"),
        ({"settle_ms": True}, "settings.settle_ms must be a number, not true or false; 100.0 is used"),
        ({"max_steps": 2.0}, "settings.max_steps must be a whole number, not a number; 64 is used"),
        (
            {"policy": ["one"]},
            "settings.policy must be one of one, left, top-k, threshold, entropy, all, verified, or null",
        ),
        ({"exclude": ["a", 3]}, "settings.exclude[1] must be a string, not a whole number; [] is used"),
        ({"exclude": ["a"] * 201}, "settings.exclude must be a list of at most 200; [] is used"),
        ({"languages": "python"}, "settings.languages must be a list or null, not a string; null is used"),
        ({"without": ["manners", "half-word"]}, "settings.without must be a list of names among language, "),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_path(options, complaint):
    settings, complaints = read_settings(options)
    assert settings == Settings()
    assert len(complaints) == 1 and complaints[0].startswith(complaint) and "\n" not in complaints[0]


async def test_a_newer_question_stops_the_older():
    session, seen = Session(document()), []

    async def work(name, seconds):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            seen.append(name)
            raise
        return name

    older = asyncio.create_task(session.run_newest(work("older", 60)))
    await asyncio.sleep(0.01)
    assert await session.run_newest(work("newer", 0)) == "newer"
    assert await older is None
    assert seen == ["older"]


async def test_cancelling_who_waits_cancels_the_work_and_is_not_an_answer():
    session, seen = Session(document()), []

    async def work():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("stopped")
            raise

    task = asyncio.create_task(session.run_newest(work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["stopped"]


async def test_closing_a_document_stops_its_question():
    sessions = Sessions()
    sessions.open(document())
    session = sessions.find("file:///a.py")
    assert session is not None
    task = asyncio.create_task(session.run_newest(asyncio.sleep(60, "late")))
    await asyncio.sleep(0.01)
    sessions.close("file:///a.py")
    assert await task is None
    assert sessions.find("file:///a.py") is None


REQUEST = CompletionRequest(hole=Hole(prefix="x = ", suffix="", language="python", replaced=(4, 4), multiline=False))


class FailingEngine:
    confidence, text = 1.0, "1"

    def __init__(self):
        self.error: Exception | None = None
        self.n_asked = 0
        self.health = EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, facts={"languages": "python"})

    log_file = None

    async def ensure_running(self, on_progress=None):
        if self.error is not None:
            self.n_asked += 1
            raise self.error
        return self.health

    async def shutdown(self):
        return None

    async def complete(self, request):
        self.n_asked += 1
        if self.error is not None:
            raise self.error
        return Completion(
            text=self.text,
            range=(8, 8),
            confidence=self.confidence,
            finish_reason="stop",
            steps=1,
            n_tokens=1,
            model="fake",
        )


async def test_an_engine_that_starts_says_which_model_it_serves():
    engine = FailingEngine()
    assert await EngineCare(engine).start() == ""
    facts = {"choice": "coder: a warm key takes 115 ms here"}
    engine.health = EngineHealth(status="ready", version="1", pid=1, uptime_s=1.0, facts=facts)
    assert await EngineCare(engine).start() == "coder: a warm key takes 115 ms here"


async def test_the_second_failure_in_a_row_starts_a_rest_that_doubles():
    now_s, engine = [0.0], FailingEngine()
    care = EngineCare(engine, clock_s=lambda: now_s[0])
    engine.error = EngineUnavailable("gone")

    async def fails():
        before = engine.n_asked
        with pytest.raises(EngineUnavailable):
            await care.complete(REQUEST)
        return engine.n_asked - before

    assert [await fails() for _ in range(3)] == [1, 1, 0]
    now_s[0] = 1.1
    assert [await fails() for _ in range(2)] == [1, 0]
    now_s[0] = 2.2
    assert await fails() == 0  # two seconds this time
    care.wake()
    assert await fails() == 1
    engine.error = None
    care.wake()
    await care.complete(REQUEST)
    engine.error = EngineUnavailable("gone again")
    assert [await fails() for _ in range(3)] == [1, 1, 0]


async def test_a_person_is_told_once_per_series_of_failures():
    engine = FailingEngine()
    care = EngineCare(engine)
    assert [care.should_tell(), care.should_tell()] == [True, False]
    await care.complete(REQUEST)
    assert care.should_tell()


@pytest.mark.parametrize(
    ("error", "cause"),
    [(EngineUnavailable("a"), "engine"), (EngineBusy("b"), "busy"), (CheckpointError("c"), "checkpoint")],
)
async def test_an_engine_error_is_an_empty_answer_with_its_reason(error, cause):
    engine = FailingEngine()
    engine.error = error
    answer = await complete_inline(ask(), engine)
    assert (answer.items(), answer.cause, answer.reason) == ([], cause, str(error))


async def test_an_answer_carries_its_range_in_the_negotiated_units():
    text = "é😀 = \n"
    ranges = {}
    for encoding in ("utf-8", "utf-16", "utf-32"):
        answer = await complete_inline(replace(ask(text, 5), encoding=encoding), FailingEngine())
        ranges[encoding] = answer.items()[0]["range"]["start"]["character"]
    assert ranges == {"utf-8": 9, "utf-16": 6, "utf-32": 5}


@pytest.mark.parametrize(
    ("invoked", "needed", "shown"), [(False, 0.9, False), (True, 0.9, True), (False, 0.3, True), (False, 0.0, True)]
)
async def test_unsure_answers_are_shown_only_when_asked_by_hand(invoked, needed, shown):
    engine = FailingEngine()
    engine.confidence, engine.text = 0.5, "value"
    question = replace(ask(), invoked=invoked, settings=Settings(min_confidence=needed))
    answer = await complete_inline(question, engine)
    assert bool(answer.items()) is shown
    assert answer.cause == ("answered" if shown else "unsure")
    assert shown or "0.50" in str(answer.reason)


LINES = st.integers(0, 3000)


@given(LINES, LINES, st.text(max_size=30))
def test_what_travels_is_a_window_around_the_cursor(n_before, n_after, typed):
    prefix = "".join(f"before_{number} = 1\n" for number in range(n_before)) + typed
    suffix = "\nafter = 2" * n_after
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(len(prefix), len(prefix)), multiline=False)
    clipped = clip(hole)
    assert prefix.endswith(clipped.prefix)
    assert suffix.startswith(clipped.suffix)
    assert clipped.replaced == hole.replaced
    assert len(clipped.prefix) <= MAX_PREFIX_CHARS
    assert len(clipped.suffix) == min(len(suffix), MAX_SUFFIX_CHARS)
    if len(prefix) > MAX_PREFIX_CHARS:
        assert len(clipped.prefix) > MAX_PREFIX_CHARS - PREFIX_JUMP_CHARS - 100
        assert prefix[: len(prefix) - len(clipped.prefix)].endswith("\n")


def test_typing_moves_the_window_only_in_jumps():
    text = "".join(f"line_{number} = {number}\n" for number in range(3000))
    starts = set()
    for end in range(40_000, 40_000 + PREFIX_JUMP_CHARS):
        hole = Hole(prefix=text[:end], suffix="", language="python", replaced=(end, end), multiline=False)
        starts.add(end - len(clip(hole).prefix))
    assert len(starts) == 2


def test_only_the_latest_answers_are_kept():
    answers = Answers(limit=2)
    for number in range(3):
        answers.add(Answer(id=str(number), uri="u", version=1, cause="nothing"))
    assert answers.find("0") is None
    assert [found.id for found in (answers.find("1"), answers.find(None)) if found] == ["1", "2"]


def test_a_frame_shows_masks_new_and_kept_and_one_end():
    cells = [("a\n", "kept"), ("b", "new"), ("", "masked"), ("", "masked"), ("", "kept"), ("", "kept")]
    frame = {"step": 3, "elapsed_ms": 12.34, "cells": [{"text": text, "state": state} for text, state in cells]}
    first = draw_trace([frame], "x = ", " # y").plain.splitlines()[0]
    assert first == "step   3     12.3 ms  x = a⏎b░░∎ # y"
    [new] = [span.style for span in draw_frame(frame, "x = ", "").spans if "green" in str(span.style)]
    assert "dim" not in str(new) and draw_frame(frame, "", "").style == ""


def test_a_frame_shows_dimmed_what_may_still_change():
    cells = [
        {"text": "a", "state": "kept"},
        {"text": "b", "state": "provisional"},
        {"text": "", "state": "provisional"},
    ]
    drawn = draw_frame({"step": 1, "elapsed_ms": 1.0, "cells": cells}, "x = ", "")
    assert drawn.plain.endswith("x = ab░")
    [style] = [str(span.style) for span in drawn.spans if drawn.plain[span.start : span.end] == "b"]
    assert "dim" in style


def test_nothing_that_a_terminal_acts_on_is_shown():
    assert visible("a\r\nb\tc\x1b[31m\x00\u202e") == r"a⏎b    c\x1b[31m\x00\u202e"


async def test_typing_what_is_shown_asks_no_engine():
    engine = FailingEngine()
    engine.text = "foo()"
    first = ask("x = \n", 4)
    answer = await complete_inline(replace(first, invoked=False, settings=Settings(min_confidence=0)), engine)
    assert answer.text == "foo()"
    before = last_shown(first, answer, None)
    engine.error = EngineUnavailable("nobody may be asked")
    around = Surroundings(last=before)
    typed = replace(ask("x = " + answer.text[0] + "\n", 5), id="2", invoked=False, around=around)
    left = await complete_inline(typed, engine)
    assert (left.text, left.cause, left.is_reused, left.id) == (answer.text[1:], "answered", True, "2")
    assert left.explain()["reused"] is True
    assert left.items()[0]["range"] == {"start": {"line": 0, "character": 5}, "end": {"line": 0, "character": 5}}
    assert last_shown(typed, left, before) is before
    for other in (
        replace(typed, invoked=True),  # a person who invokes a completion wants another answer
        replace(typed, settings=Settings(reuse=False)),
        replace(ask("x = ?\n", 5), invoked=False, around=around),
    ):
        again = await complete_inline(other, engine)
        assert again.cause == "engine"
    assert last_shown(first, replace(answer, text=""), before) is None


async def test_handlers_that_have_ended_are_forgotten():
    server = StrictServer("test", "0")

    async def handler(*_):
        return None

    server.feature("test/told")(handler)
    server.strict._initialized = True
    for _ in range(5):
        server.strict.receive(b'{"jsonrpc": "2.0", "method": "test/told", "params": {}}')
    await asyncio.sleep(0.05)
    assert server.strict._request_futures == {}


def test_a_trace_as_a_picture_loads_nothing():
    cells = [{"text": "total", "state": "new"}, {"text": "", "state": "masked"}]
    drawn = svg(draw_trace([{"step": 1, "elapsed_ms": 3.0, "cells": cells}], "x = ", ""), "a.py, line 1 <&>")
    assert (
        drawn.startswith("<svg")
        and "total" in drawn
        and "░" in drawn
        and "a.py,&#160;line&#160;1&#160;&lt;&amp;&gt;" in drawn
    )
    assert "url(http" not in drawn and "@font-face" not in drawn
