"""Commands, outcomes, status and configuration, through the real server over stdio."""

import asyncio

import pytest
from quicksilver.lsp_server.protocol.headless import AnswerError

URI = "file:///tmp/quicksilver-commands.py"
TEXT = "value = \n"
AT = (0, 8)


async def run(client, name, *arguments):
    return await client.request("workspace/executeCommand", {"command": f"quicksilver.{name}", "arguments": arguments})


async def until(condition, seconds=10):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def statuses(client):
    return [each["params"] for each in client.notifications if each["method"] == "quicksilver/status"]


def complaints(client):
    return [each["params"]["message"] for each in client.notifications if each["method"] == "window/showMessage"]


SHOWS_ALL = {"min_confidence": 0}


async def test_who_asks_by_hand_may_choose(editor):
    async with editor("--text", "one", "--other", "two", "--other", "one", "--other", "three") as client:
        client.open(URI, TEXT)
        assert await client.complete(URI, AT, invoked=False) == []  # not sure enough
        items = await client.complete(URI, AT)
        stays = await client.complete(URI, AT, invoked=False)  # an invoked answer stays on show
        client.notify("textDocument/didShowCompletion", {"item": items[2]})
        client.insert(URI, 2, AT, "t")
        [left] = await client.complete(URI, (0, 9), invoked=False)
    assert [item["insertText"] for item in items] == ["one", "two", "three"]
    assert [item["command"]["arguments"][0]["index"] for item in items] == [0, 1, 2]
    assert [item["insertText"] for item in stays] == ["one"]
    assert left["insertText"] == "hree"


async def test_off_and_on_by_hand(editor):
    async with editor(options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        assert (await run(client, "toggle"))["state"] == "off"
        assert await client.complete(URI, AT) == []
        assert "switched off" in (await run(client, "why"))["why"][0]
        assert (await run(client, "toggle", False))["state"] == "off"
        assert (await run(client, "toggle"))["state"] != "off"
        assert len(await client.complete(URI, AT)) == 1


async def test_a_snooze_is_for_automatic_answers(editor):
    async with editor(options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        assert (await run(client, "snooze"))["state"] == "snoozed"
        assert await client.complete(URI, AT, invoked=False) == []
        assert len(await client.complete(URI, AT, invoked=True)) == 1
        assert (await run(client, "snooze", 0))["state"] == "ready"
        assert len(await client.complete(URI, AT, invoked=False)) == 1


@pytest.mark.parametrize(
    ("name", "argument"), [("snooze", "soon"), ("snooze", -1), ("snooze", 1e9), ("snooze", True), ("toggle", 1)]
)
async def test_wrong_arguments_are_refused_in_words(editor, name, argument):
    async with editor() as client:
        with pytest.raises(AnswerError) as refusal:
            await run(client, name, argument)
        assert refusal.value.code == -32602
        assert f"quicksilver.{name} takes" in str(refusal.value)


async def test_a_command_that_is_not_there_is_refused(editor):
    async with editor() as client:
        with pytest.raises(AnswerError):
            await run(client, "formatMyDisk")
        assert (await run(client, "status"))["state"] in ("ready", "starting")


async def test_the_engine_is_started_again(editor):
    async with editor("--fail-first", "1", options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        assert await client.complete(URI, AT, invoked=False) == []
        assert (await run(client, "status"))["state"] == "failed"
        assert (await run(client, "restartEngine"))["state"] == "ready"


async def test_an_engine_that_cannot_start_says_why(editor):
    async with editor("--unavailable") as client:
        status = await run(client, "restartEngine")
    assert (status["state"], status["message"]) == ("failed", "the engine cannot start: scripted")


async def test_the_log_is_named_when_there_is_one(editor, records):
    async with editor(options=SHOWS_ALL) as client:
        assert await run(client, "showLog") == {"engine_log": None}
        client.open(URI, TEXT)
        await client.complete(URI, AT)
        assert await run(client, "showLog") == {"engine_log": str(records.file)}


async def test_why_nothing(editor):
    async with editor("--text", "x") as client:
        assert "No completion has been asked for yet" in (await run(client, "why"))["why"][-1]
        client.open(URI, TEXT)
        await client.complete(URI, AT, invoked=False)
        [line] = (await run(client, "why"))["why"]
        assert "quicksilver-commands.py" in line and "not sure enough" in line
        await client.complete(URI, AT)
        [line, _] = (await run(client, "why", {"uri": URI}))["why"]
        assert "got an answer: 1 characters, from the model" in line
        assert "No completion" in (await run(client, "why", {"uri": "file:///other.py"}))["why"][-1]


async def test_status_is_told_to_who_wants_it(editor):
    async with editor("--start-ms", "50", "--delay-ms", "300", status=True, options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        await until(lambda: [each["state"] for each in statuses(client)][-1:] == ["ready"])
        await client.complete(URI, AT)
        await until(lambda: statuses(client)[-1]["latency_ms"] is not None)
    states = [each["state"] for each in statuses(client)]
    assert "starting" in states and "busy" in states and states[-1] == "ready"
    assert statuses(client)[-1]["model"] == "scripted"
    async with editor(options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        await client.complete(URI, AT)
        assert statuses(client) == []


async def counts(client):
    return {name: n for name, n in (await run(client, "status"))["counts"].items() if n}


async def test_what_arrives_in_one_edit_was_accepted_and_keys_were_not(editor):
    async with editor("--text", "first + second", options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        assert len(await client.complete(URI, AT, invoked=False)) == 1
        client.insert(URI, 2, AT, "f")
        client.insert(URI, 3, (0, 9), "irst + ")
        assert len(await client.complete(URI, (0, 16), invoked=False)) == 1
        assert await counts(client) == {"shown": 1, "partially_accepted": 1, "characters": 7}
        client.insert(URI, 4, (0, 16), "second")
        assert await counts(client) == {"shown": 1, "partially_accepted": 1, "accepted": 1, "characters": 13}


async def test_typing_something_else_rejects(editor):
    async with editor("--text", "first + second", options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        await client.complete(URI, AT, invoked=False)
        client.insert(URI, 2, AT, "x")
        client.insert(URI, 3, (0, 9), "y")
        assert await counts(client) == {"shown": 1, "rejected": 1}


async def test_an_editor_that_tells_is_believed(editor):
    async with editor("--text", "ä𝒳 + second", options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        [item] = await client.complete(URI, AT, invoked=False)
        client.notify("textDocument/didShowCompletion", {"item": item})
        client.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 4})
        client.insert(URI, 2, AT, "ä𝒳 ")
        assert await counts(client) == {"shown": 1, "partially_accepted": 1, "characters": 3}
        [item] = await client.complete(URI, (0, 11), invoked=False)
        await client.request("workspace/executeCommand", item["command"])
        client.insert(URI, 3, (0, 11), "+ second")
        assert await counts(client) == {"shown": 1, "partially_accepted": 1, "accepted": 1, "characters": 11}


@pytest.mark.parametrize(
    "item", [None, {}, {"command": {}}, {"command": {"arguments": []}}, {"command": {"arguments": [1]}}]
)
async def test_malformed_reports_are_dropped(editor, item):
    async with editor(options=SHOWS_ALL) as client:
        client.notify("textDocument/didShowCompletion", {"item": item})
        client.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": -1})
        assert await counts(client) == {}


async def test_settings_that_are_sent_later_take_effect(editor):
    async with editor() as client:
        client.open(URI, TEXT)
        assert await client.complete(URI, AT, invoked=False) == []
        change = {"settings": {"quicksilver": {"minConfidence": 0, "nonsense": 1}}}
        client.notify("workspace/didChangeConfiguration", change)
        client.notify("workspace/didChangeConfiguration", change)
        assert len(await client.complete(URI, AT, invoked=False)) == 1
        await until(lambda: complaints(client))
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"enabled": False}}})
        assert await client.complete(URI, AT) == []
        client.notify("workspace/didChangeConfiguration", {"settings": {}})
        assert len(await client.complete(URI, AT)) == 1
    assert len(complaints(client)) == 1 and "'nonsense'" in complaints(client)[0]


async def test_an_answer_on_its_way_when_settings_change_is_asked_again(editor, records):
    async with editor("--delay-ms", "300", "--text", "one", options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        on_its_way = asyncio.create_task(client.complete(URI, AT, invoked=False))
        await until(lambda: len(records.all("asked")) == 1)
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": SHOWS_ALL | {"budget_ms": 900}}})
        assert [item["insertText"] for item in await on_its_way] == ["one"]
        assert [item["insertText"] for item in await client.complete(URI, AT, invoked=False)] == ["one"]
    budgets = [record["budget_ms"] for record in records.all("asked")]
    assert budgets[0] != 900 and budgets[-1] == 900


async def until_items(client, n_items, seconds=10):
    """Ask until there are so many: the server takes an answer of the client over a moment after it has come."""
    async with asyncio.timeout(seconds):
        while len(await client.complete(URI, AT)) != n_items:
            await asyncio.sleep(0.01)


async def test_a_client_with_a_configuration_is_asked(editor):
    configuration: dict[str, object] = {"enabled": None}
    async with editor(configuration=configuration, options={"enabled": False}) as client:
        client.open(URI, TEXT)
        await until_items(client, 1)
        configuration["enabled"] = False
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await until_items(client, 0)
        assert client.requests_seen.count("workspace/configuration") == 2


async def test_null_is_the_default_even_where_the_handshake_said_otherwise(editor, records):
    async with editor(options={"max_tokens": 64, "min_confidence": 0}) as client:
        client.open(URI, TEXT)
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"maxTokens": None}}})
        assert len(await client.complete(URI, AT, invoked=False)) == 1
    assert [record["max_tokens"] for record in records.all("asked")] == [None]


async def test_no_status_comes_before_the_handshake_is_over(editor):
    async with editor(initialize=False) as client:
        wants = {"experimental": {"quicksilver": {"status": True}}}
        await client.request("initialize", {"capabilities": wants, "initializationOptions": {"enabled": False}})
        await asyncio.sleep(0.05)
        assert client.notifications == []
        client.notify("initialized", {})
        await until(lambda: statuses(client))
    assert statuses(client)[0]["state"] == "off"


async def test_by_hand_stands_until_the_setting_changes(editor):
    async with editor(options=SHOWS_ALL) as client:
        client.open(URI, TEXT)
        await run(client, "toggle", False)
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"max_steps": 3}}})
        assert await client.complete(URI, AT) == []
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"enabled": False}}})
        client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"enabled": True}}})
        assert len(await client.complete(URI, AT)) == 1
