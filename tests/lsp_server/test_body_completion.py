"""A published body behind the language server: a tiny one that wants to write a certain text, of each kind one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from quicksilver.fim.types import Completion, CompletionRequest
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from quicksilver.serving.wire import EngineHealth, decode_completion, decode_request, encode_completion, encode_request
from tiny_body import Wanting, save_body, tiny_body

from .conftest import idle
from .in_process import in_process_client

URI = "file:///project/sums.py"
ABOVE = "def add(a, b):\n    return a + b\n\n\ndef twice(x):\n"


class BodyEngine:
    """An engine in this process: what is asked and answered goes over the wire's bytes."""

    def __init__(self, infiller: DenoisingInfiller) -> None:
        self.infiller = infiller
        self.seen: list[CompletionRequest] = []
        self.log_file = None

    async def ensure_running(self, on_progress=None) -> EngineHealth:
        facts = {name: str(value) for name, value in self.infiller.describe().items()}
        return EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, facts=facts)

    async def shutdown(self) -> None: ...

    async def complete(self, request: CompletionRequest) -> Completion:
        self.seen.append(request)
        await asyncio.sleep(0)
        return decode_completion(
            encode_completion(self.infiller.complete(decode_request(encode_request(request)), lambda: False))
        )


@pytest.fixture(scope="module")
def infiller(tmp_path_factory: pytest.TempPathFactory) -> DenoisingInfiller:
    return infiller_of(load(save_body(tmp_path_factory.mktemp("body"), tiny_body())))


@contextmanager
def wanting(infiller: DenoisingInfiller, text: str) -> Iterator[BodyEngine]:
    """An engine whose body wants text from the beginning of the file."""
    run, tokenizer = infiller.run, infiller.tokenizer
    assert isinstance(tokenizer, BodyTokenizer)
    infiller.run = Wanting(run, tokenizer, text.encode(), tokenizer.marks.end, sure=0.999)
    try:
        yield BodyEngine(infiller)
    finally:
        infiller.run = run
        infiller.cache.clear()


KINDS = {  # left of the cursor, right of it, what the body wants, what is offered
    "inside a word": (ABOVE + "    ret", "\n", "urn add(x, x)\n", "urn add(x, x)"),
    "after a bracket": (ABOVE + "    return add(", "\n", "x, x)\n", "x, x)"),
    "before a bracket": (ABOVE + "    return add(", ")\n", "x, x)\n", "x, x"),
    "after indentation": (ABOVE + "    ", "\n", "return add(x, x)\n", "return add(x, x)"),
    "a colon joined with a line break": ("x = 1\nfor i in range(x", "\n", "):\n    print(i)", "):"),
    "not ASCII": ("né = '😀'\nprint(n", "\n", "é)\n", "é)"),
    "a word that stands above": ("first_width = 1\nprint(first_", "\n", "width)\n", "width)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_body_wants_is_offered(infiller: DenoisingInfiller, kind: str):
    left, right, wanted, offered = KINDS[kind]
    with wanting(infiller, left + wanted) as engine, in_process_client(engine) as client:
        await client.initialize(options={"settle_ms": 0, "budget_ms": 60_000})
        client.open(URI, left + right)
        line = left.rpartition("\n")[2]
        position = (left.count("\n"), len(line))
        item, *_ = await client.complete(URI, position)
        facts = await client.explain()
        await client.stop()
    start, end = item["range"]["start"], item["range"]["end"]
    assert start["line"] == end["line"] == position[0]
    assert line[: start["character"]] + item["insertText"] == line + offered
    assert (facts["cause"], facts["model"]) == ("answered", "tiny-body")
    assert facts["steps"] >= 1 and facts["confidence"] > 0.5


async def test_a_block(infiller: DenoisingInfiller):
    left, wanted = (
        "def add(a, b):\n    return a + b\n\n\ndef twice(x):\n    ",
        "if x:\n        return add(x, x)\n    return x",
    )
    with wanting(infiller, left + wanted) as engine, in_process_client(engine) as client:
        await client.initialize(options={"settle_ms": 0, "budget_ms": 60_000})
        client.open(URI, left)
        item, *_ = await client.complete(URI, (5, 4))
        await client.stop()
    assert any(request.hole.multiline for request in engine.seen)
    assert item["insertText"].strip() == wanted


async def test_a_draft_of_the_file_is_read_by_the_body_in_few_forwards(infiller: DenoisingInfiller):
    """The body wants what stands above at the same words: it guesses it, and another forward tells where it ends."""
    line = "total = add(first, second)\n"
    left, wanted = f"{line}x = 1\ntotal = add(", "first, second"
    with wanting(infiller, left + wanted) as engine, in_process_client(engine) as client:
        await client.initialize(options={"settle_ms": 0, "budget_ms": 60_000})
        client.open(URI, left + ")\n")
        item, *_ = await client.complete(URI, (2, 12), invoked=False)
        facts = await client.explain()
        await client.stop()
    assert item["insertText"] == wanted
    assert (facts["source"], facts["steps"]) == ("denoiser", 2)


async def test_an_automatic_answer_is_shown_as_far_as_it_is_sure(infiller: DenoisingInfiller):
    left = ABOVE + "    return "
    with wanting(infiller, left + "add(x, x)\n") as engine, in_process_client(engine) as client:
        await client.initialize(options={"settle_ms": 0, "budget_ms": 60_000})
        client.open(URI, left + "\n")
        (item,) = await client.complete(URI, (5, 11), invoked=False)
        assert "add(x, x)".startswith(item["insertText"]) and item["insertText"]
        engine.infiller.run.sure = 0.02  # type: ignore[attr-defined]
        client.insert(URI, 2, (5, 11), "z")
        assert await client.complete(URI, (5, 12), invoked=False) == []
        facts = await client.explain()
        await client.stop()
    assert facts["cause"] in ("unsure", "nothing")


async def test_what_is_warmed_is_not_read_again(infiller: DenoisingInfiller):
    left = ABOVE + "    return "
    infiller.cache.clear()
    with wanting(infiller, left + "add(x, x)\n") as engine, in_process_client(engine) as client:
        await client.initialize(options={"settle_ms": 0, "budget_ms": 60_000})
        client.open(URI, left + "\n")
        client.notify("quicksilver/warm", {"textDocument": {"uri": URI}, "position": {"line": 5, "character": 11}})
        await idle(client)
        assert [request.warms for request in engine.seen] == [True]
        await client.complete(URI, (5, 11), invoked=False)
        facts = await client.explain()
        await client.stop()
    assert facts["n_context"] == facts["n_cached"] > 0
