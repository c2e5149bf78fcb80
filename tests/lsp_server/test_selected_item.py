"""What a client says with a question: the item that is selected in its menu, and what it indents with."""

import asyncio

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.text.document import Document
from quicksilver.fim.types import Completion, CompletionRequest
from quicksilver.lsp_server.answering.answers import Answer
from quicksilver.lsp_server.answering.question import Question, SelectedItem
from quicksilver.lsp_server.answering.selected_item import complete
from quicksilver.lsp_server.protocol.params import read_inline_completion

TEXT = "print('😀', os.pa)\n"
OFFSET = TEXT.index(")")
START = TEXT.index("pa)")


class OneAnswer:
    """An engine that always says the same, and keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> Completion:
        self.asked.append(request)
        return Completion(
            text=self.text, range=(0, 0), confidence=1.0, finish_reason="stop", steps=1, n_tokens=1, model="fake"
        )


def answer_of(engine: OneAnswer, item: SelectedItem, text: str = TEXT, offset: int = OFFSET) -> Answer:
    document = Document(uri="file:///a.py", version=1, language="python", text=text)
    ask = Question(
        id="1", uri=document.uri, document=document, offset=offset, invoked=False, received_s=0.0, selected=item
    )
    return asyncio.run(complete(ask, engine))


def test_an_answer_begins_with_the_selected_item_and_takes_its_range() -> None:
    engine = OneAnswer(".join(parts)")
    answer = answer_of(engine, SelectedItem(start=START, end=OFFSET, text="path"))
    [item] = answer.items()
    assert item["insertText"] == "path.join(parts)"
    assert item["range"] == {"start": {"line": 0, "character": 15}, "end": {"line": 0, "character": 17}}
    [request] = engine.asked
    assert (request.hole.prefix, request.hole.suffix) == ("print('😀', os.path", ")\n")


def test_an_item_that_replaces_what_stands_right_of_the_cursor_keeps_its_range() -> None:
    text = "value = misses_old\n"
    answer = answer_of(OneAnswer(" + 1"), SelectedItem(start=8, end=18, text="misses"), text, offset=11)
    [item] = answer.items()
    assert (item["insertText"], item["range"]["end"]["character"]) == ("misses + 1", 18)


@pytest.mark.parametrize(
    ("engine_says", "item"),
    [
        ("", SelectedItem(start=START, end=OFFSET, text="path")),
        (".join(parts)", SelectedItem(start=0, end=2, text="path")),
        (".join(parts)", SelectedItem(start=START, end=OFFSET + 2, text="path")),
    ],
    ids=["no-answer", "elsewhere", "several-lines"],
)
def test_what_does_not_extend_it_is_not_shown(engine_says: str, item: SelectedItem) -> None:
    answer = answer_of(OneAnswer(engine_says), item)
    assert answer.items() == []
    assert answer.reason


def test_rules_hold_for_the_text_with_the_item_in_it() -> None:
    answer = answer_of(OneAnswer("x"), SelectedItem(start=8, end=9, text="m"), "value = misses\n", offset=9)
    assert (answer.items(), answer.cause) == ([], "gated")


PLACE = {"textDocument": {"uri": "file:///a.py"}, "position": {"line": 0, "character": 2}}
RANGE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 2}}


def read(context: object = None, **more: object):
    selected = {} if context is None else {"selectedCompletionInfo": context}
    return read_inline_completion({**PLACE, "context": {"triggerKind": 2, **selected}, **more})


def test_both_are_read() -> None:
    params = read({"range": RANGE, "text": "path"}, formattingOptions={"tabSize": 2, "insertSpaces": True, "x": 1})
    assert params.selected == ((0, 0), (0, 2), "path")
    assert params.indent == "  "
    assert read(formattingOptions={"tabSize": 8, "insertSpaces": False}).indent == "\t"
    assert (read().selected, read().indent) == (None, None)


@pytest.mark.parametrize(
    "selected",
    [
        [],
        {},
        {"text": "a"},
        {"range": RANGE},
        {"range": RANGE, "text": 3},
        {"range": {"start": RANGE["end"], "end": RANGE["start"]}, "text": "a"},
    ],
)
def test_a_malformed_selected_item_is_refused(selected: object) -> None:
    with pytest.raises(InputError, match="selectedCompletionInfo"):
        read(selected)


@pytest.mark.parametrize(
    "options",
    [
        [],
        {},
        {"tabSize": 4},
        {"insertSpaces": True},
        {"tabSize": 0, "insertSpaces": True},
        {"tabSize": 65, "insertSpaces": True},
        {"tabSize": 4, "insertSpaces": 1},
        {"tabSize": "4", "insertSpaces": True},
    ],
)
def test_malformed_formatting_options_are_refused(options: object) -> None:
    with pytest.raises(InputError, match="formattingOptions"):
        read(formattingOptions=options)
