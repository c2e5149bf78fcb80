"""What is asked ahead, remembered and shared, seen by a client."""

import asyncio

import pytest
from quicksilver.lsp_server.protocol.headless import INLINE_COMPLETION, completion_params

from .conftest import idle

URI = "file:///tmp/sample.py"
ALL_SHOWN = {"min_confidence": 0}


async def until(condition, timeout_s=5.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def prefixes(records, event="asked"):
    return [record["prefix"] for record in records.all(event)]


async def automatic(client, line, character):
    return await client.complete(URI, (line, character), invoked=False)


async def test_a_cancel_and_the_same_question_again_in_one_packet(editor, records):
    async with editor("--delay-ms", "200", options=ALL_SHOWN | {"prefetch": False}) as client:
        client.open(URI, "value = \n")
        first, answer = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8), invoked=False))
        await until(lambda: records.all("asked"))
        client.notify("$/cancelRequest", {"id": first})
        _, again = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8), invoked=False))
        assert len((await asyncio.wait_for(again, 5))["items"]) == 1
        assert answer.done()


@pytest.mark.parametrize("n_cancelled", [1, 2])
async def test_of_two_equal_questions_some_are_cancelled(editor, records, n_cancelled):
    async with editor("--delay-ms", "300", options=ALL_SHOWN | {"prefetch": False}) as client:
        client.open(URI, "value = \n")
        asked = [client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8), invoked=False)) for _ in range(2)]
        await until(lambda: records.all("asked"))
        for request_id, _ in asked[:n_cancelled]:
            client.notify("$/cancelRequest", {"id": request_id})
        results = await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)
        assert [isinstance(result, Exception) for result in results] == [True, n_cancelled == 2]
        assert len(records.all("asked")) == 1
        assert len(records.all("cancelled")) == int(n_cancelled == 2)


async def test_two_equal_questions_look_ahead_once(editor, records):
    async with editor("--delay-ms", "50", options=ALL_SHOWN) as client:
        client.open(URI, "value = \n")
        asked = [client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8), invoked=False)) for _ in range(2)]
        await asyncio.gather(*(answer for _, answer in asked))
        await idle(client)
    assert prefixes(records) == ["value = ", "value = seen_8"]
    assert records.all("cancelled") == []


async def test_what_is_not_on_show_any_more_is_not_looked_behind(editor, records):
    async with editor(options=ALL_SHOWN) as client:
        client.open(URI, "value = \nother = \n")
        await automatic(client, 0, 8)
        await automatic(client, 1, 8)
        await idle(client)
    assert prefixes(records) == ["value = ", "value = \nother = ", "value = \nother = seen_17"]


async def test_an_answer_that_came_back_is_typed_through(editor, records):
    async with editor(options=ALL_SHOWN | {"prefetch": False}) as client:
        client.open(URI, "value = \n")
        (first,) = await automatic(client, 0, 8)
        client.insert(URI, 2, (0, 8), "§")
        await automatic(client, 0, 9)
        client.replace(URI, 3, ((0, 8), (0, 9)), "")
        (again,) = await automatic(client, 0, 8)
        assert again["insertText"] == first["insertText"]
        client.insert(URI, 4, (0, 8), first["insertText"][0])
        (left,) = await automatic(client, 0, 9)
        assert left["insertText"] == first["insertText"][1:]
    assert len(records.all("asked")) == 2


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
async def test_what_follows_an_accepted_text_is_there_and_is_typed_through(editor, records, eol):
    async with editor(options=ALL_SHOWN) as client:
        client.open(URI, f"x = 1{eol}value = {eol}")
        (first,) = await automatic(client, 1, 8)
        await until(lambda: len(records.all("asked")) == 2)
        n_asked = len(records.all("asked"))
        client.insert(URI, 2, (1, 8), first["insertText"])
        end = 8 + len(first["insertText"])
        (second,) = await automatic(client, 1, end)
        client.insert(URI, 3, (1, end), second["insertText"][0])
        (left,) = await automatic(client, 1, end + 1)
        assert left["insertText"] == second["insertText"][1:]
        assert n_asked == len(records.all("asked")) == 2


async def test_an_answer_asked_ahead_is_the_one_that_would_be_given(editor):
    shown = []
    for prefetch in (True, False):
        async with editor("--text", "'a': 1,", options=ALL_SHOWN | {"prefetch": prefetch}) as client:
            client.open(URI, "value = {\n}\n")
            (first,) = await automatic(client, 0, 9)
            await idle(client)
            client.insert(URI, 2, (0, 9), first["insertText"])
            shown.append([item["insertText"] for item in await automatic(client, 0, 16)])
    assert shown == [[], []]  # by then the key stands there


async def test_a_question_does_not_wait_for_what_is_asked_ahead(editor, records):
    async with editor("--delay-ms", "300", options=ALL_SHOWN) as client:
        client.open(URI, "value = \nother = \n")
        await automatic(client, 0, 8)
        await until(lambda: len(records.all("asked")) == 2)
        assert len(await automatic(client, 1, 8)) == 1
        assert prefixes(records, "cancelled") == ["value = seen_8"]


@pytest.mark.parametrize("reopened", [False, True])
async def test_nothing_is_asked_ahead_for_a_closed_document(editor, records, reopened):
    async with editor(options=ALL_SHOWN) as client:
        client.open(URI, "value = \n")
        await automatic(client, 0, 8)
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        if reopened:
            client.open(URI, "value = \n")
        await idle(client)
    assert prefixes(records) == ["value = "]


@pytest.mark.slow
async def test_the_server_ends_at_once_while_it_asks_ahead(piped_editor, records):
    async with piped_editor("--delay-ms", "2000", options=ALL_SHOWN | {"budget_ms": 5000}) as client:
        client.open(URI, "value = \n")
        await automatic(client, 0, 8)
        await until(lambda: len(records.all("asked")) == 2)
        started_s = asyncio.get_running_loop().time()
        client.process.stdin.close()
        await client.wait()
        assert asyncio.get_running_loop().time() - started_s < 1.5
        assert not any("Traceback" in line for line in client.stderr_lines)


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
async def test_several_lines_with_blanks_right_of_the_cursor(editor, records, eol):
    """The item holds the rest of the line, so that every editor shows it; so does what is left of it."""
    text = eol.join(["def first(x):", "      ", "y = 1", ""])
    answer = f"a = 1{eol}    b = 2"
    async with editor("--text", "a = 1\n    b = 2", options=ALL_SHOWN) as client:
        client.open(URI, text)
        for n in (0, 1, 2, 5 + len(eol)):
            items = await automatic(client, *((1, 4 + n) if n < 6 else (2, 0)))
            if n >= 6:  # one line is left, and no reason to hold the rest of the line
                break
            assert items[0]["insertText"] == answer[n:] + "  "
            where = items[0]["range"]
            assert (where["start"], where["end"]) == ({"line": 1, "character": 4 + n}, {"line": 1, "character": 6 + n})
            if n < 2:
                client.insert(URI, 2 + n, (1, 4 + n), answer[n])
            else:
                client.insert(URI, 2 + n, (1, 4 + n), answer[n : 5 + len(eol)])
        assert items[0]["insertText"] == "    b = 2"
        assert items[0]["range"]["start"] == items[0]["range"]["end"] == {"line": 2, "character": 0}
        assert [asked["prefix"] for asked in records.all("asked")] == [text[: text.index("      ") + 4]]


async def test_what_follows_several_lines_with_blanks_right_of_the_cursor(editor, records):
    async with editor("--text", "a = 1\n    b = 2", options=ALL_SHOWN) as client:
        client.open(URI, "def first(x):\n      \ny = 1\n")
        (item,) = await automatic(client, 1, 4)
        await idle(client)
        client.replace(URI, 2, ((1, 4), (1, 6)), item["insertText"])
        await automatic(client, 2, 11)
    assert prefixes(records) == ["def first(x):\n    ", "def first(x):\n    a = 1\n    b = 2  "]
