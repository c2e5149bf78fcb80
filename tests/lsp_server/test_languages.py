"""Documents in languages that the model does not know: the status says so, and the person is told once."""

import time
from typing import Any

import pytest
from quicksilver.fim.document import Document
from quicksilver.lsp_server.answers import Answer, Ask
from quicksilver.lsp_server.languages import LanguageNotes, about_language

KNOWN = ("python",)
JS, PY = "file:///a.js", "file:///a.py"


def asked(language: str, *, invoked: bool, text: str = "", cause: Any = "nothing") -> tuple[Ask, Answer]:
    document = Document(uri=JS, version=1, language=language, text="x")
    ask = Ask(id="1", uri=JS, document=document, offset=1, invoked=invoked, received_s=time.perf_counter())
    return ask, Answer(id="1", uri=JS, version=1, cause=cause, reason=None if text else "reasons", text=text)


def test_a_known_language_is_never_mentioned():
    notes = LanguageNotes()
    assert about_language("python", KNOWN) is None
    assert about_language("python", ("javascript",)) is None  # a person has switched it off, and knows
    assert notes.note(*asked("python", invoked=True), KNOWN) is None
    assert notes.note(*asked("javascript", invoked=True), ("python", "javascript")) is None


def test_a_language_id_is_an_editors_word():
    assert r"\x1b[31m" in str(about_language("\x1b[31m", KNOWN))


def test_typing_in_a_programming_language_is_mentioned_once():
    notes = LanguageNotes()
    typed = [notes.note(*asked("javascript", invoked=False, cause="gated"), KNOWN) for _ in range(3)]
    assert [line is None for line in typed] == [False, True, True]
    assert "knows only Python" in str(typed[0]) and "javascript" in str(typed[0])
    assert notes.note(*asked("rust", invoked=False, cause="gated"), KNOWN) is not None


@pytest.mark.parametrize(
    ("language", "cause"), [("markdown", "gated"), ("javascript", "off"), ("javascript", "snoozed")]
)
def test_typing_prose_or_with_completions_off_is_not_disturbed(language, cause):
    assert LanguageNotes().note(*asked(language, invoked=False, cause=cause), KNOWN) is None


def test_a_request_is_told_once_if_answered_and_each_time_if_not():
    notes = LanguageNotes()
    answered = [notes.note(*asked("markdown", invoked=True, text="x", cause="answered"), KNOWN) for _ in range(2)]
    assert [line is None for line in answered] == [False, True]
    empty = [notes.note(*asked("markdown", invoked=True), KNOWN) for _ in range(2)]
    assert all("no suggestion: reasons" in str(line) for line in empty)
    assert notes.note(*asked("markdown", invoked=True, cause="superseded"), KNOWN) is None


async def test_the_server_says_it_in_the_status_and_once_to_the_person(editor):
    async with editor("--text", "foo()", status=True) as client:
        client.open(PY, "x = \n")
        client.open(JS, "let x = \n", language="javascript")
        assert await client.complete(JS, (0, 8), invoked=False) == []
        assert await client.complete(JS, (0, 8), invoked=False) == []
        [item] = await client.complete(JS, (0, 8))
        assert item["insertText"] == "foo()"
        other = await status_of(client)
        await client.complete(PY, (0, 4))
        known = await status_of(client)
    assert (other["state"], other["unknown_language"]) == ("ready", "javascript")
    assert "knows only Python" in other["message"]
    assert (known["unknown_language"], "scripted" in known["message"]) == (None, True)
    assert [shown["type"] for shown in messages(client)] == [3]
    assert "javascript" in messages(client)[0]["message"]


async def test_a_request_without_an_answer_says_why(editor):
    async with editor("--text", " ") as client:
        client.open("file:///id_rsa.js", "let x = \n", language="javascript")
        assert await client.complete("file:///id_rsa.js", (0, 8)) == []
    assert "holds secrets" in messages(client)[0]["message"]


async def status_of(client) -> dict[str, Any]:
    return await client.request("workspace/executeCommand", {"command": "quicksilver.status", "arguments": []})


def messages(client) -> list[dict[str, Any]]:
    return [each["params"] for each in client.notifications if each["method"] == "window/showMessage"]
