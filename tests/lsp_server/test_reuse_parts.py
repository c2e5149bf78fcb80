"""What is remembered, how trees are read and how much of that a question may cost, part by part."""

import time
from dataclasses import replace

import pytest
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming import trimmer
from quicksilver.fim.types import Alternative, Completion, FinishReason
from quicksilver.lsp_server import sessions
from quicksilver.lsp_server.answering.completion import MAX_REMEMBERED_CHARS, complete_inline
from quicksilver.lsp_server.answering.question import Question, Surroundings
from quicksilver.lsp_server.sessions import Session
from quicksilver.lsp_server.settings import Settings
from quicksilver.lsp_server.workspace.idle_thread import N_FAILURES_MAX, BackgroundThread


def ask(text="value = \n", offset=8):
    document = Document(uri="file:///a.py", version=1, language="python", text=text)
    return Question(id="1", uri=document.uri, document=document, offset=offset, invoked=False, received_s=0.0)


class Engine:
    """Answers with this text and finish_reason, and counts."""

    def __init__(self, text="seen", finish_reason: FinishReason = "stop"):
        self.n_asked = 0
        self.completion = Completion(
            text=text, range=(8, 8), confidence=1.0, finish_reason=finish_reason, steps=1, n_tokens=1, model="fake"
        )

    async def complete(self, request):
        self.n_asked += 1
        return self.completion


@pytest.mark.parametrize(
    ("text", "finish_reason", "n_asked"),
    [("seen", "stop", 1), ("seen", "budget", 1), ("", "stop", 1), ("", "budget", 2), ("", "cancelled", 2)],
)
async def test_an_engine_that_had_no_time_is_asked_again(text, finish_reason, n_asked):
    engine, question = Engine(text, finish_reason), ask()
    for _ in range(2):
        await complete_inline(question, engine)
    assert engine.n_asked == n_asked


async def test_answers_about_long_documents_are_not_kept():
    engine = Engine()
    long = ask("value = \n" + "# more\n" * (MAX_REMEMBERED_CHARS // 7))
    for _ in range(2):
        await complete_inline(long, engine)
    assert engine.n_asked == 2


async def test_other_snippets_make_another_question():
    engine, around = Engine(), Surroundings()
    for snippets in (("a",), ("b",), ("a",)):
        await complete_inline(replace(ask(), around=replace(around, snippets=snippets)), engine)
    assert engine.n_asked == 2


async def test_trees_are_read_no_longer_than_a_question_can_wait(monkeypatch):
    with_tree = []

    def read(around, text, *_):
        with_tree.append(around.syntax is not None)
        start_s = time.thread_time()
        while time.thread_time() < start_s + 0.02:
            pass
        return text if len(with_tree) > 5 else ""

    monkeypatch.setattr(trimmer, "trim_in", read)
    monkeypatch.setattr(trimmer, "READING_S", 0.05)
    engine = Engine("a" * 20)
    others = [Alternative(text="a" * n, confidence=0.9, source="file", n_tokens=1) for n in range(8, 20)]
    engine.completion = replace(engine.completion, alternatives=tuple(others))
    question = replace(ask(), settings=Settings(min_confidence=0.1))
    syntax = Session(question.document).syntax(8)
    answer = await complete_inline(replace(question, around=Surroundings(syntax=syntax)), engine)
    assert 0 < sum(with_tree) <= 4 and with_tree == sorted(with_tree, reverse=True)
    assert answer.text  # by lines alone


def test_a_text_that_cannot_be_parsed_is_not_tried_at_every_key(monkeypatch):
    tried = []
    monkeypatch.setattr(sessions, "parse", lambda text, *_, **__: tried.append(text))
    session = Session(ask().document)
    for n in range(5):
        assert session.syntax(0) is None
        assert session.syntax(0) is None
        session.change(ask("value = \n" + "a" * n).document, 1, 0)
    assert len(tried) == 1
    monkeypatch.setattr(sessions, "REFUSED_S", 0.0)
    monkeypatch.setattr(sessions, "REFUSED_TIMES", 0)
    session._parses_from_s = 0.0
    for _ in range(2):
        session.syntax(0)
    assert len(tried) == 3


def test_what_took_long_to_refuse_is_tried_again_much_later(monkeypatch):
    tried = []
    monkeypatch.setattr(sessions, "parse", lambda text, *_, **__: (time.sleep(0.01), tried.append(text))[1])
    monkeypatch.setattr(sessions, "REFUSED_S", 0.0)
    monkeypatch.setattr(sessions, "REFUSED_TIMES", 10_000)
    session = Session(ask().document)
    for _ in range(3):
        assert session.syntax(0) is None
    assert len(tried) == 1


def test_failures_are_counted_in_a_row():
    n_units = [0]

    def unit():
        n_units[0] += 1
        if n_units[0] % 2:
            raise ValueError("scripted")
        return 0.0

    background = BackgroundThread(lambda: unit, lambda: None)
    background.start()
    ends_s = time.monotonic() + 10
    while n_units[0] < 4 * N_FAILURES_MAX and time.monotonic() < ends_s:
        time.sleep(0.005)
    assert background.is_alive
    background.close()
