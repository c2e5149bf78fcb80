"""What the language server answers, seen by a client."""

import asyncio
import json

import pytest
from quicksilver.lsp_server.protocol.framing import encode
from quicksilver.lsp_server.protocol.headless import INLINE_COMPLETION, AnswerError, completion_params

from .conftest import idle

URI = "file:///tmp/sample.py"
# 😀 is 4 bytes, 2 UTF-16 units, 1 code point; é is 2, 1, 1. The cursor stands behind "= ".
LINE = "é😀 = "
TEXT = "import os\f\n" + LINE + "\n"


async def test_an_answer_is_one_item_at_the_cursor(piped_editor, records):
    async with piped_editor() as client:
        client.open(URI, "def f():\n    return \n")
        items = await client.complete(URI, (1, 11))
        facts = await client.explain()
    where = {"line": 1, "character": 11}
    assert len(items) == 1
    assert items[0]["insertText"] == "seen_20"
    assert items[0]["range"] == {"start": where, "end": where}
    assert items[0]["command"]["command"] == "quicksilver.didAccept"
    assert items[0]["command"]["arguments"] == [{"id": facts["id"], "index": 0}]
    [asked] = records.all("asked")
    assert (asked["prefix"], asked["suffix"]) == ("def f():\n    return ", "\n")
    assert asked["path"] == "sample.py"


@pytest.mark.parametrize(
    ("offered", "chosen", "character"),
    [
        (("utf-8", "utf-16"), "utf-8", 9),
        (("utf-16", "utf-8"), "utf-16", 6),
        (("utf-32",), "utf-32", 5),
        (("klingon", "utf-32"), "utf-32", 5),
        (("klingon",), "utf-16", 6),
        (None, "utf-16", 6),
    ],
)
async def test_the_first_known_encoding_is_spoken(editor, records, offered, chosen, character):
    async with editor(initialize=False) as client:
        capabilities = await client.initialize(encodings=offered)
        client.open(URI, TEXT)
        [item] = await client.complete(URI, (1, character))
    assert capabilities["positionEncoding"] == chosen
    assert records.all("asked")[0]["prefix"] == TEXT[:-1]
    assert item["range"]["start"] == {"line": 1, "character": character}


async def test_the_encoding_is_announced(editor):
    async with editor(initialize=False) as client:
        capabilities = await client.initialize(encodings=("utf-8", "utf-16"))
    assert capabilities["positionEncoding"] == "utf-8"
    assert capabilities["inlineCompletionProvider"]
    assert capabilities["textDocumentSync"]["openClose"] is True
    assert capabilities["textDocumentSync"]["change"] == 2
    assert "quicksilver.didAccept" in capabilities["executeCommandProvider"]["commands"]


async def test_typing_reaches_the_engine(editor, records):
    async with editor() as client:
        client.open(URI, "x = \r\ny = 2\r\n")
        client.insert(URI, 2, (0, 4), "😀")
        client.insert(URI, 3, (0, 5), "a")
        await client.complete(URI, (0, 6))
        facts = await client.explain()
    assert records.all("asked")[0]["prefix"] == "x = 😀a"
    assert facts["version"] == 3


async def test_a_request_and_a_change_in_one_packet(editor, records):
    """The request is about the text before the change, so it is answered with nothing, and the engine sees no mix."""
    async with editor("--delay-ms", "50") as client:
        client.open(URI, "value = \n")
        request_id, answer = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8)))
        client.insert(URI, 2, (0, 0), "a longer start of the line ")
        assert request_id > 0
        assert (await asyncio.wait_for(answer, 5))["items"] == []
        facts = await client.explain()
    assert (facts["cause"], facts["version"]) == ("stale", 1)
    assert all(asked["prefix"] == "value = " for asked in records.all("asked"))


async def test_a_change_during_the_answer_drops_it_and_stops_the_engine(editor, records):
    async with editor("--delay-ms", "5000") as client:
        client.open(URI, "value = \n")
        _, answer = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8)))
        await _until(lambda: records.all("asked"))
        client.insert(URI, 2, (0, 8), "1")
        assert (await asyncio.wait_for(answer, 2))["items"] == []
        await _until(lambda: records.all("cancelled"))


async def test_the_newest_request_wins(editor, records):
    async with editor("--delay-ms", "300") as client:
        client.open(URI, "value = \nother = \n")
        answers = [client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8)))[1] for _ in range(5)]
        answers.append(client.ask(INLINE_COMPLETION, completion_params(URI, (1, 8)))[1])
        results = await asyncio.wait_for(asyncio.gather(*answers), 5)
    assert [len(result["items"]) for result in results] == [0, 0, 0, 0, 0, 1]
    assert results[-1]["items"][0]["insertText"] == "seen_17"
    assert len(records.all("answered")) == 1


async def test_documents_do_not_disturb_each_other(editor):
    other = "file:///tmp/other.py"
    async with editor("--delay-ms", "200") as client:
        client.open(URI, "value = \n")
        client.open(other, "longer_value = \n")
        first = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8)))[1]
        second = client.ask(INLINE_COMPLETION, completion_params(other, (0, 15)))[1]
        results = await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert [result["items"][0]["insertText"] for result in results] == ["seen_8", "seen_15"]


async def test_cancel_is_answered_and_stops_the_engine(editor, records):
    async with editor("--delay-ms", "5000") as client:
        client.open(URI, "value = \n")
        request_id, answer = client.ask(INLINE_COMPLETION, completion_params(URI, (0, 8)))
        await _until(lambda: records.all("asked"))
        client.notify("$/cancelRequest", {"id": request_id})
        with pytest.raises(AnswerError) as error:
            await asyncio.wait_for(answer, 2)
        assert error.value.code == -32800
        await _until(lambda: records.all("cancelled"))
        client.notify("$/cancelRequest", {"id": 98765})  # unknown ids do no harm
        client.notify("$/cancelRequest", {"nonsense": True})
        client.open(URI, "value = \n", version=2)
        assert await client.request("quicksilver/explain", {"id": "none"}) is None


async def test_a_document_that_was_never_opened_is_not_read(editor, records, tmp_path):
    file = tmp_path / "on_disk.py"
    file.write_text("secret = \n", encoding="utf-8")
    async with editor() as client:
        assert await client.complete(file.as_uri(), (0, 9)) == []
        facts = await client.explain()
        client.open(URI, "x = ")
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        assert await client.complete(URI, (0, 4)) == []
    assert facts["cause"] == "closed"
    assert records.all("asked") == []
    assert any("not opened" in line for line in client.stderr_lines)


async def test_explain_tells_everything(editor):
    async with editor("--delay-ms", "20", options={"trace": True}) as client:
        client.open(URI, "value = \n")
        await client.complete(URI, (0, 8))
        facts = await client.explain()
        same = await client.explain(facts["id"])
    assert facts == same
    assert (facts["text"], facts["confidence"], facts["finish_reason"]) == ("seen_8", 0.5, "stop")
    assert (facts["steps"], facts["n_tokens"], facts["model"], facts["reason"]) == (2, 3, "scripted", None)
    assert facts["trace"][0]["cells"][1] == {"text": "", "state": "masked"}
    ms = facts["timings_ms"]
    assert ms["engine"] == 20.0
    parts = ms["engine"] + ms["transport"] + ms["trim"] + ms["lsp"]
    assert parts == pytest.approx(ms["total"], abs=0.5)


async def test_an_empty_text_is_an_empty_list_with_a_reason(editor):
    async with editor("--text", "   ") as client:
        client.open(URI, "value = \n")
        assert await client.complete(URI, (0, 8)) == []
        facts = await client.explain()
    assert facts["cause"] == "nothing"
    assert facts["reason"]
    assert facts["raw_text"] == "   "


async def test_automatic_requests_are_gated_and_have_the_shorter_budget(editor, records):
    async with editor(options={"min_confidence": 0}) as client:
        client.open(URI, "value = name\n")
        assert await client.complete(URI, (0, 8), invoked=False) == []  # a word right of the cursor
        assert (await client.explain())["cause"] == "gated"
        client.open("file:///tmp/a.zig", "x = ", language="zig")
        assert await client.complete("file:///tmp/a.zig", (0, 4), invoked=False) == []
        client.open("file:///tmp/b.py", "x = ")
        assert await client.complete("file:///tmp/b.py", (0, 4), invoked=False) != []
        assert await client.complete("file:///tmp/b.py", (0, 4), invoked=True) != []
    assert [asked["budget_ms"] for asked in records.all("asked")] == [300.0, 2000.0]


async def test_settings_are_taken_and_bad_ones_are_told(editor, records):
    options = {"budget_ms": "fast", "invoked_budget_ms": 750, "max_tokens": 9, "policy": "all", "model": "/etc"}
    options["reuse"] = False
    async with editor(options=options) as client:
        client.open(URI, "value = \n")
        await client.complete(URI, (0, 8))
        await client.complete(URI, (0, 8), invoked=False)
        messages = [
            note["params"]["message"] for note in client.notifications if note["method"] == "window/showMessage"
        ]
    asked = records.all("asked")
    assert [record["budget_ms"] for record in asked] == [750.0, 300.0]
    assert (asked[0]["max_tokens"], asked[0]["policy"]) == (9, "all")
    assert len(messages) == 2
    assert any("budget_ms must be" in message for message in messages)
    assert any("'model'" in message for message in messages)


async def test_while_a_shown_text_is_typed_the_engine_is_not_asked(editor, records):
    async with editor(options={"min_confidence": 0}) as client:
        client.open(URI, "value = \n")
        (item,) = await client.complete(URI, (0, 8), invoked=False)
        text = item["insertText"]
        assert len(text) > 2
        for n in (1, 2):
            client.insert(URI, n + 1, (0, 7 + n), text[n - 1])
            (left,) = await client.complete(URI, (0, 8 + n), invoked=False)
            assert left["insertText"] == text[n:]
            assert (await client.explain())["reused"] is True
        assert len(records.all("asked")) == 1
        client.insert(URI, 4, (0, 10), "§")
        await client.complete(URI, (0, 11), invoked=False)
        assert len(records.all("asked")) == 2


async def test_switched_off(editor, records):
    async with editor(options={"enabled": False}) as client:
        client.open(URI, "value = \n")
        assert await client.complete(URI, (0, 8)) == []
    assert records.all("asked") == []


async def test_an_engine_that_died_is_asked_again(editor, records):
    async with editor("--fail-first", "1", options={"min_confidence": 0}) as client:
        client.open(URI, "value = \n")
        assert await client.complete(URI, (0, 8), invoked=False) == []
        assert len(await client.complete(URI, (0, 8), invoked=False)) == 1
    assert len(records.all("asked")) == 2


async def test_an_unavailable_engine_is_told_once_and_rests(editor, records):
    async with editor("--fail-first", "9") as client:
        client.open(URI, "value = \n")
        for _ in range(6):
            assert await client.complete(URI, (0, 8), invoked=False) == []
        facts = await client.explain()
        told = [note for note in client.notifications if note["method"] == "window/showMessage"]
        n_asked = len(records.all("asked"))
        assert await client.complete(URI, (0, 8), invoked=True) == []  # invoked: tried at once
    assert len(told) == 1
    assert facts["cause"] == "engine"
    assert n_asked <= 2
    assert len(records.all("asked")) == n_asked + 1


async def test_progress_only_for_clients_that_show_it(editor):
    async with editor("--start-ms", "50", progress=True) as client:
        await _until(lambda: _progress(client)[-1:] == ["end"])
        kinds = _progress(client)
        assert client.requests_seen == ["window/workDoneProgress/create"]
    assert kinds == ["begin", "report", "end"]
    async with editor(progress=False) as client:
        client.open(URI, "value = \n")
        await client.complete(URI, (0, 8))
        assert client.requests_seen == []
        assert _progress(client) == []


async def test_accepting_is_logged_and_the_log_holds_no_source(piped_editor):
    async with piped_editor() as client:
        client.open(URI, "hunter2_password = \n")
        [item] = await client.complete(URI, (0, 19))
        client.insert(URI, 2, (0, 19), "hunter2_typed")
        await client.request("workspace/executeCommand", item["command"])
        await client.request("workspace/executeCommand", {"command": "quicksilver.didAccept", "arguments": [7]})
    log = "\n".join(client.stderr_lines)
    assert "accepted, 7 characters" in log
    assert "unknown completion" in log
    assert "hunter2" not in log
    assert "seen_" not in log


@pytest.mark.slow
async def test_a_bug_is_an_error_answer_and_the_log_holds_no_source(piped_editor):
    async with piped_editor("--crash") as client:
        client.open(URI, "hunter2 = \n")
        with pytest.raises(AnswerError) as error:
            await client.complete(URI, (0, 10))
        assert error.value.code == -32603
    log = "\n".join(client.stderr_lines)
    assert "scripted_server.py" in log
    assert "hunter2" not in log


async def test_lone_surrogates_survive(editor, records):
    async with editor(encodings=("utf-16",)) as client:
        client.send(
            encode(
                {
                    "jsonrpc": "2.0",
                    "method": "textDocument/didOpen",
                    "params": {
                        "textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": "a\ud800b = "}
                    },
                }
            )
        )
        assert len(await client.complete(URI, (0, 6))) == 1
    assert json.dumps(records.all("asked")[0]["prefix"]) == json.dumps("a\ud800b = ")


async def _until(condition, timeout_s=5.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def _progress(client):
    return [note["params"]["value"]["kind"] for note in client.notifications if note["method"] == "$/progress"]


async def test_the_context_is_read_ahead_when_typing_stops(editor, records):
    """For people who ask on request: once the engine has answered, and only after edits that nobody asked about."""
    async with editor() as client:
        client.open(URI, "x = \ny = 2\n")
        await client.complete(URI, (0, 4))
        client.insert(URI, 2, (0, 4), "a")
        client.insert(URI, 3, (0, 5), "b")
        await _until(lambda: records.all("warmed"))
        client.insert(URI, 4, (0, 6), "c")
        await client.complete(URI, (0, 7))
        await idle(client)
        assert [warmed["prefix"] for warmed in records.all("warmed")] == ["x = ab"]
    assert len(records.all("asked")) == 2


async def test_an_editor_can_have_the_context_read_at_its_cursor(editor, records):
    async with editor() as client:
        client.open(URI, "x = \ny = 2\n")
        await client.complete(URI, (0, 4))
        client.notify("quicksilver/warm", {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 5}})
        await _until(lambda: records.all("warmed"))
        client.notify("quicksilver/warm", {"textDocument": {"uri": "file:///other"}, "position": {"line": 1}})
        client.notify("quicksilver/warm", None)
        assert (await client.complete(URI, (0, 4))) != []
    assert [warmed["prefix"] for warmed in records.all("warmed")] == ["x = \ny = 2"]


async def test_nothing_is_read_ahead_before_the_engine_has_answered(editor, records):
    async with editor(options={"start_engine": False}) as client:
        client.open(URI, "x = \n")
        client.insert(URI, 2, (0, 4), "a")
        await idle(client)
    assert records.all("warmed") == []


async def test_reading_ahead_for_the_newest_cursor(editor, records):
    async with editor("--delay-ms", "300") as client:
        client.open(URI, "x = \ny = 2\n")
        await client.complete(URI, (0, 4))
        for line in (0, 1):
            where = {"line": line, "character": 3}
            client.notify("quicksilver/warm", {"textDocument": {"uri": URI}, "position": where})
            await _until(lambda line=line: len(records.all("warmed")) == line + 1)
    assert [warmed["prefix"] for warmed in records.all("warmed")] == ["x =", "x = \ny ="]


async def test_a_closed_document_is_not_read_ahead(editor, records):
    async with editor() as client:
        client.open(URI, "x = \n")
        await client.complete(URI, (0, 4))
        client.insert(URI, 2, (0, 4), "a")
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        await idle(client)
    assert records.all("warmed") == []


@pytest.mark.slow
async def test_a_bug_while_reading_ahead_is_logged_without_source(piped_editor):
    async with piped_editor("--crash-warm") as client:
        client.open(URI, "hunter2 = \n")
        await client.complete(URI, (0, 10))
        client.insert(URI, 2, (0, 10), "1")
        await _until(lambda: any("failed (RuntimeError)" in line for line in client.stderr_lines))
        assert await client.complete(URI, (0, 11)) != []
    log = "\n".join(client.stderr_lines)
    assert "failed (RuntimeError)" in log and "scripted_server.py" in log
    assert "hunter2" not in log
