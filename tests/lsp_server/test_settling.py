"""A new suggestion appears once it has been wanted for a moment."""

import asyncio
from dataclasses import replace

import pytest
from quicksilver.fim.reuse import Shown
from quicksilver.fim.text.document import Document
from quicksilver.fim.text.positions import Position
from quicksilver.lsp_server.answering.answers import Answer, LastShown
from quicksilver.lsp_server.answering.question import Question
from quicksilver.lsp_server.answering.settling import Held, SettleClock, hold, settle
from quicksilver.lsp_server.protocol.headless import INLINE_COMPLETION, completion_params

TEXT = "value = "


def ask(typed: str = "", *, invoked: bool = False) -> Question:
    document = Document(uri="file:///a.py", version=1, language="python", text=TEXT + typed)
    offset = len(document.text)
    return Question(id="1", uri=document.uri, document=document, offset=offset, invoked=invoked, received_s=0.0)


def answer(question: Question, text: str) -> Answer:
    at = Position(0, question.offset)
    return Answer(id="1", uri=question.uri, version=1, cause="answered", text=text, range=(at, at))


def on_screen(text: str) -> LastShown:
    question = ask()
    assert question.document is not None
    return LastShown(Shown(question.document, question.offset, text), answer(question, text))


def held(text: str, since_s: float = 1.0) -> Held:
    return Held(on_screen(text), since_s)


def test_a_new_text_is_held_from_the_question_that_it_first_answered():
    question = ask()
    found = hold(question, answer(question, "compute(x)"), None, None, 5.0)
    assert found is not None and (found.text.shown.text, found.since_s) == ("compute(x)", 5.0)


def test_keys_that_agree_do_not_start_the_time_anew():
    question = ask("com")
    before = held("compute(x)")
    assert hold(question, answer(question, "pute(x)"), None, before, 5.0) is before


def test_another_text_starts_it_anew():
    question = ask("com")
    found = hold(question, answer(question, "pile()"), None, held("compute(x)"), 5.0)
    assert found is not None and (found.text.shown.text, found.since_s) == ("pile()", 5.0)


@pytest.mark.parametrize(
    ("question", "text", "shown", "is_reused"),
    [
        (ask("com"), "pute(x)", on_screen("compute(x)"), True),  # the rest of what is on the screen
        (ask(invoked=True), "compute(x)", None, False),
        (ask(), "", None, False),
        (ask(), "compute(x)", None, True),  # known before the question
    ],
)
def test_what_appears_at_once(question, text, shown, is_reused):
    found = replace(answer(question, text), is_reused=is_reused)
    assert hold(question, found, shown, None, 5.0) is None


async def test_the_wait_is_what_is_left_and_is_told():
    slept = []

    async def sleep(seconds):
        slept.append(round(seconds, 6))

    clock = SettleClock(lambda: 1.07, sleep)
    found = await settle(replace(answer(ask(), "x"), timings_ms={"total": 70.0}), held("x"), 100.0, clock)
    assert slept == [0.03]
    assert found.timings_ms == pytest.approx({"settle": 30.0, "total": 100.0})
    assert (await settle(answer(ask(), "x"), held("x"), 70.0, clock)).timings_ms == {}
    assert slept == [0.03]


async def test_a_question_that_the_next_key_stops_shows_nothing_and_its_text_goes_on_waiting(editor, records):
    uri = "file:///a.py"
    async with editor("--text", "compute(x)", "--confidence", "0.99", options={"settle_ms": 400}) as client:
        client.open(uri, TEXT)
        _, first = client.ask(INLINE_COMPLETION, completion_params(uri, (0, 8), invoked=False))
        while not records.all("answered"):
            await asyncio.sleep(0.01)
        client.insert(uri, 2, (0, 8), "c")
        second = await client.request(INLINE_COMPLETION, completion_params(uri, (0, 9), invoked=False))
        assert (await first)["items"] == []
        assert [item["insertText"] for item in second["items"]] == ["ompute(x)"]
        assert len(records.all("asked")) == 1  # the held text answers the second question
        settled = (await client.explain())["timings_ms"]
        assert 0 < settled["settle"] < 400  # the wait began with the first question
        client.insert(uri, 3, (0, 9), "o")
        await client.request(INLINE_COMPLETION, completion_params(uri, (0, 10), invoked=False))
        assert "settle" not in (await client.explain())["timings_ms"]  # on the screen already


@pytest.mark.parametrize("command", ["quicksilver.toggle", "quicksilver.snooze"])
async def test_what_is_held_does_not_appear_once_completions_are_off(editor, records, command):
    uri = "file:///a.py"
    async with editor("--text", "compute(x)", "--confidence", "0.99", options={"settle_ms": 400}) as client:
        client.open(uri, TEXT)
        _, asked = client.ask(INLINE_COMPLETION, completion_params(uri, (0, 8), invoked=False))
        while not records.all("answered"):
            await asyncio.sleep(0.01)
        await client.request("workspace/executeCommand", {"command": command})
        assert (await asked)["items"] == []
        assert (await client.explain())["cause"] in ("off", "snoozed")
