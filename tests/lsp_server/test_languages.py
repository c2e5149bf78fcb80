"""Documents in languages that the model does not know: the status says so, and the person is told once."""

import time
from typing import Any

import pytest
from quicksilver.fim.text.document import Document
from quicksilver.lsp_server.answering.answers import Answer
from quicksilver.lsp_server.answering.question import Question
from quicksilver.lsp_server.languages import KnownLanguages, LanguageNotes, about_language

KNOWN = KnownLanguages(("python",))
MANY = "python javascript go"
JS, PY = "file:///a.js", "file:///a.py"


def asked(language: str, *, invoked: bool, text: str = "", cause: Any = "nothing") -> tuple[Question, Answer]:
    document = Document(uri=JS, version=1, language=language, text="x")
    ask = Question(id="1", uri=JS, document=document, offset=1, invoked=invoked, received_s=time.perf_counter())
    return ask, Answer(id="1", uri=JS, version=1, cause=cause, reason=None if text else "reasons", text=text)


def test_a_known_language_is_never_mentioned():
    notes = LanguageNotes()
    assert about_language("python", KNOWN) is None
    assert about_language("python", KnownLanguages(("python",), ("javascript",))) is None  # switched off, and known
    assert notes.note(*asked("python", invoked=True), KNOWN) is None
    assert notes.note(*asked("javascript", invoked=True), KnownLanguages(("python",), ("python", "javascript"))) is None


def test_nothing_is_said_before_the_engine_has_said_what_the_model_knows():
    assert about_language("javascript", KnownLanguages(None)) is None
    assert LanguageNotes().note(*asked("javascript", invoked=False, cause="gated"), KnownLanguages(None)) is None


def test_a_model_of_many_languages_does_not_know_only_python():
    about = str(about_language("cobol", KnownLanguages(MANY.split())))
    assert "does not know cobol" in about and "Python" not in about
    assert about_language("go", KnownLanguages(MANY.split())) is None


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


@pytest.mark.parametrize(
    ("of_model", "setting", "language", "is_answered"),
    [
        ("python", None, "javascript", False),
        (MANY, None, "javascript", True),
        (MANY, None, "lua", False),
        (MANY, ["python"], "javascript", False),  # the person's own choice counts
        ("python", ["javascript"], "javascript", True),
        ("python shellscript", None, "sh", True),  # as Neovim calls it
        ("python shellscript", ["sh"], "shellscript", True),
        (MANY, ["lua"], "lua", True),
    ],
)
async def test_the_model_says_which_languages_are_completed(editor, of_model, setting, language, is_answered):
    options = ("--text", "entries", "--confidence", "1", "--languages", of_model)
    async with editor(*options, options=setting and {"languages": setting}) as client:
        client.open(JS, "let x = \n", language=language)
        items = await client.complete(JS, (0, 8), invoked=False)
    assert [item["insertText"] for item in items] == (["entries"] if is_answered else [])


async def test_the_first_question_asks_the_engine_what_the_model_knows(editor):
    options = {"start_engine": False}
    async with editor("--text", "foo()", "--confidence", "1", "--languages", MANY, options=options) as client:
        client.open(JS, "let x = \n", language="javascript")
        assert (await status_of(client))["languages"] is None
        assert len(await client.complete(JS, (0, 8), invoked=False)) == 1
        known = await status_of(client)
    assert (known["languages"], known["unknown_language"]) == (MANY.split(), None)


@pytest.mark.parametrize(("name", "is_answered"), [("a.json", True), ("secrets.json", False), ("a-lock.json", False)])
async def test_data_that_a_person_writes_is_completed_and_secrets_never(editor, name, is_answered):
    async with editor("--text", "[1, 2]", "--confidence", "1", "--languages", "json") as client:
        client.open(f"file:///{name}", '{"a": \n', language="json")
        assert bool(await client.complete(f"file:///{name}", (0, 6), invoked=False)) is is_answered


async def status_of(client) -> dict[str, Any]:
    return await client.request("workspace/executeCommand", {"command": "quicksilver.status", "arguments": []})


def messages(client) -> list[dict[str, Any]]:
    return [each["params"] for each in client.notifications if each["method"] == "window/showMessage"]
