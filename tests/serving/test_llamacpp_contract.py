"""llama.cpp's dialect: requests as llama.vim, llama.vscode and twinny send them, answers as llama-server gives them."""

import asyncio
import json

import pytest
from quicksilver.fim.errors import EngineUnavailable, InputError
from quicksilver.fim.types import MAX_SNIPPETS, Completion
from quicksilver.serving.api.call import MAX_ANSWER_TOKENS, ApiAnswer
from quicksilver.serving.api.llamacpp.answer import answer_body, choose_fields
from quicksilver.serving.api.llamacpp.body import (
    MAX_READING_MS,
    MIN_READING_MS,
    budget_of,
    parse_completion,
    parse_infill,
)
from quicksilver.serving.api.llamacpp.dialect import LlamaCppDialect
from quicksilver.serving.client.http import Endpoint, exchange
from quicksilver.serving.engine.worker import Worker
from starlette.requests import Request

TIMINGS = {
    "cache_n": int, "prompt_n": int, "prompt_ms": float, "prompt_per_token_ms": float, "prompt_per_second": float,
    "predicted_n": int, "predicted_ms": float, "predicted_per_token_ms": float, "predicted_per_second": float,
}  # fmt: skip
ANSWER = {
    "index": int, "content": str, "tokens": list, "id_slot": int, "stop": bool, "model": str, "tokens_predicted": int,
    "tokens_evaluated": int, "generation_settings": dict, "prompt": str, "has_new_line": bool, "truncated": bool,
    "stop_type": str, "stopping_word": str, "tokens_cached": int, "timings": dict,
}  # fmt: skip

# llama.vim @a1c8e6e, as recorded: `llama#fim`, the first request of a place, and `s:ring_update`.
VIM_FIELDS = [
    "content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms", "timings/prompt_per_second",
    "timings/predicted_n", "timings/predicted_ms", "timings/predicted_per_token_ms", "timings/predicted_per_second",
    "truncated", "tokens_cached",
]  # fmt: skip
VIM = {
    "id_slot": 0, "input_prefix": "def mean(values):\n    if not values:\n        return 0.0\n", "prompt": "    ret",
    "input_suffix": "\n\nmean([1])\n",
    "input_extra": [{"text": "import csv\n", "time": [18042, 439295579], "filename": "csv_summary.py"}],
    "n_predict": 128, "stop": [], "n_indent": 4, "top_k": 40, "top_p": 0.9, "samplers": ["top_k", "top_p", "infill"],
    "stream": False, "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 250,
    "response_fields": VIM_FIELDS, "model": "",
}  # fmt: skip
VIM_AHEAD = {
    "id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": VIM["input_extra"], "prompt": "",
    "n_predict": 0, "temperature": 0.0, "samplers": [], "stream": False, "cache_prompt": True, "t_max_prompt_ms": 1,
    "t_max_predict_ms": 1, "response_fields": [""], "model": "",
}  # fmt: skip
# llama.vscode @3938fb3: `createRequestPayload`, with a prediction and without.
VSCODE = {
    "id_slot": 0, "input_prefix": "function f() {\n", "input_suffix": "\n}\n",
    "input_extra": [{"text": "const a = 1;", "time": 1767225600000, "filename": "src/a.ts"}], "prompt": "  return ",
    "n_predict": 128, "n_cmpl": 1, "top_k": 40, "top_p": 0.99, "stream": False,
    "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True, "n_indent": 2, "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500, "lora": [{"id": 0, "scale": 0.5}],
}  # fmt: skip
VSCODE_AHEAD = {
    "id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": VSCODE["input_extra"], "prompt": "",
    "n_predict": 0, "samplers": [], "cache_prompt": True, "t_max_prompt_ms": 500, "t_max_predict_ms": 1,
}  # fmt: skip
# twinny @286b7511: `createStreamRequestBodyFim` for a provider that it does not know.
TWINNY = {"prompt": "a", "stream": True, "temperature": 0.2, "n_predict": 512, "stop": ["<|endoftext|>"]}


async def ask(rig, target, value=None, method="POST"):
    body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
    reply = await exchange(Endpoint(socket=rig.home.socket), method, target, body, timeout_s=30)
    return reply.status, reply.body


async def answer_to(rig, target, value):
    status, body = await ask(rig, target, value)
    assert status == 200, body
    return json.loads(body)


def types_of(value: dict) -> dict:
    return {key: type(each) for key, each in value.items()}


def test_a_request_of_llama_vim_is_understood():
    asked = parse_infill(json.dumps(VIM).encode())
    request = asked.call.request
    assert request.hole.prefix == VIM["input_prefix"] + VIM["prompt"]
    assert request.hole.suffix == VIM["input_suffix"]
    assert request.hole.language == "python" and request.hole.multiline
    assert request.snippets == ("# csv_summary.py\nimport csv\n",)
    assert (request.max_tokens, request.budget_ms) == (128, 250 + MIN_READING_MS)
    assert request.sampling is None  # top_k without a temperature
    assert (asked.n_indent, asked.response_fields) == (4, tuple(VIM_FIELDS))
    assert not asked.call.stream and not request.warms


def test_a_request_of_llama_vscode_is_understood():
    asked = parse_infill(json.dumps(VSCODE).encode())
    assert asked.call.request.hole.language == "typescript"
    assert asked.call.request.snippets == ("// src/a.ts\nconst a = 1;",)
    assert asked.call.request.budget_ms == 2_500 + MIN_READING_MS
    assert asked.response_fields == ()


@pytest.mark.parametrize("body", [VIM_AHEAD, VSCODE_AHEAD])
def test_what_is_read_ahead_is_a_warm_up(body):
    request = parse_infill(json.dumps(body).encode()).call.request
    assert request.warms and request.max_tokens is None and request.budget_ms == MAX_READING_MS
    assert len(request.snippets) == 1


def test_the_budget_is_for_predicting_and_for_reading():
    assert budget_of(None, 500, warms=False) is None
    assert budget_of(0, 500, warms=False) is None and budget_of(-1, 500, warms=False) is None
    assert budget_of(250, None, warms=False) == 250 + MIN_READING_MS
    assert budget_of(250, 1, warms=False) == 250 + MIN_READING_MS
    assert budget_of(250, 8_000, warms=False) == 8_250
    assert budget_of(250, 1e300, warms=False) == 250 + MAX_READING_MS


def test_what_is_not_sent_is_left_to_the_engine():
    asked = parse_completion(b'{"prompt": "a"}')
    request = asked.call.request
    assert (request.hole.prefix, request.hole.suffix, request.max_tokens) == ("a", "", None)
    assert (request.sampling, request.budget_ms, request.stop, asked.call.n) == (None, None, (), 1)
    nothing = dict.fromkeys(("n_predict", "stop", "temperature", "top_k", "top_p", "seed", "stream", "model"))
    assert parse_completion(json.dumps({"prompt": "a"} | nothing).encode()) == asked


def test_sampling_and_limits():
    sent = {"prompt": ["a"], "temperature": 0.8, "top_k": 40, "top_p": 0.95, "seed": 2**32 - 1, "n": 2}
    call = parse_completion(json.dumps(sent).encode()).call
    assert call.request.sampling is not None
    assert (call.request.sampling.top_k, call.request.sampling.seed, call.n) == (40, None, 2)
    assert parse_completion(b'{"prompt": "a", "temperature": -1}').call.request.sampling is None
    assert parse_completion(b'{"prompt": "a", "n_predict": -1}').call.request.max_tokens is None
    assert parse_completion(b'{"prompt": "a", "max_tokens": 5}').call.request.max_tokens == 5
    assert parse_completion(b'{"prompt": "a", "n_predict": 2147483647}').call.request.max_tokens == MAX_ANSWER_TOKENS
    assert parse_completion(b'{"prompt": "a", "stop": ["", "x"]}').call.request.stop == ("x",)
    assert parse_completion(b'{"prompt": "a", "grammar": "", "json_schema": {}}').call.request.hole.prefix == "a"


def test_the_newest_extra_texts_are_kept():
    extra = [{"text": f"t{i}", "filename": "a.py"} for i in range(10_000)]
    request = parse_infill(json.dumps(VIM | {"input_extra": extra}).encode()).call.request
    assert len(request.snippets) == MAX_SNIPPETS and request.snippets[-1] == "# a.py\nt9999"


def test_the_name_of_an_extra_text_stays_in_its_comment():
    def snippets(**extra):
        return parse_infill(json.dumps(VIM | {"input_extra": [extra]}).encode()).call.request.snippets

    assert snippets(text="x", filename="a\nimport os\x1b.py") == ("# a import os\\x1b.py\nx",)
    assert snippets(text="x", filename="a.go") == ("// a.go\nx",)
    assert snippets(text="x") == snippets(text="x", filename="") == snippets(text="x", filename=None) == ("x",)
    assert snippets(text="") == ()


def test_marks_in_a_prompt_say_where_the_hole_is():
    marked = {"prompt": "<|repo_name|>r\n<|file_sep|>a.go\nx\n<|fim_prefix|>b<|fim_suffix|>c<|fim_middle|>"}
    request = parse_completion(json.dumps(marked).encode()).call.request
    assert (request.hole.prefix, request.hole.suffix, request.path) == ("b", "c", "")
    assert request.snippets == ("// a.go\nx",)
    request = parse_completion(json.dumps(marked | {"infilling_marks": False}).encode()).call.request
    assert (request.hole.prefix, request.hole.suffix) == (marked["prompt"], "")
    spelled = VIM | {"input_prefix": "<PRE> a <SUF> b <MID>", "prompt": "", "input_suffix": ""}
    assert parse_infill(json.dumps(spelled).encode()).call.request.hole.prefix == "<PRE> a <SUF> b <MID>"


def test_chosen_fields_are_flat():
    found = {"content": "a", "timings": {"prompt_n": 1}, "stop": True}
    assert choose_fields(found, []) == found
    assert choose_fields(found, [""]) == {}
    chosen = choose_fields(found, ["content", "timings/prompt_n", "timings/none", "content/x", "timings"])
    assert chosen == {"content": "a", "timings/prompt_n": 1, "timings": {"prompt_n": 1}}


def test_timings_are_those_of_the_engine():
    completion = Completion(
        text="ab", range=(0, 0), confidence=0.5, finish_reason="stop", steps=1, n_tokens=4, model="m", n_context=30,
        n_cached=10, timings_ms={"prefill": 50.0, "denoise": 60.0, "verify": 20.0, "queue": 5.0},
    )  # fmt: skip
    answer = ApiAnswer(index=0, text="ab", end_reason="stop", stopped_by=None, completion=completion)
    body = answer_body(parse_completion(b'{"prompt": "a"}'), answer)
    assert body["timings"] == {
        "cache_n": 10, "prompt_n": 20, "prompt_ms": 50.0, "prompt_per_token_ms": 2.5, "prompt_per_second": 400.0,
        "predicted_n": 4, "predicted_ms": 80.0, "predicted_per_token_ms": 20.0, "predicted_per_second": 50.0,
    }  # fmt: skip
    assert (body["tokens_evaluated"], body["tokens_predicted"], body["tokens_cached"]) == (30, 4, 34)
    assert body["stop_type"] == "eos"


async def test_the_answer_has_the_shape_of_llama_server(shared_rig):
    sent = {"input_prefix": "a", "prompt": "b", "input_suffix": "c\n"}
    found = await answer_to(shared_rig, "/infill", sent)
    assert types_of(found) == ANSWER and types_of(found["timings"]) == TIMINGS
    assert (found["content"], found["stop"], found["stop_type"], found["prompt"]) == ("c\nab", True, "eos", "ab")
    assert (found["index"], found["model"], found["tokens"], found["has_new_line"]) == (0, "fake", [], True)
    assert found["generation_settings"]["temperature"] == 0.0
    for target in ("/completion", "/completions"):
        found = await answer_to(shared_rig, target, {"prompt": "x;y", "stop": [";"], "n_predict": 4})
        assert types_of(found) == ANSWER
        assert (found["content"], found["stop_type"], found["stopping_word"]) == ("x", "word", ";")
        assert found["generation_settings"]["n_predict"] == 4


async def test_the_answer_to_llama_vim(shared_rig):
    found = await answer_to(shared_rig, "/infill", VIM)
    assert list(found) == VIM_FIELDS
    assert found["content"] == ""  # the fake writes the suffix, whose third line is not indented
    assert isinstance(found["truncated"], bool) and isinstance(found["timings/prompt_per_second"], float)
    found = await answer_to(shared_rig, "/infill", VIM | {"n_indent": 0})
    assert found["content"] == VIM["input_suffix"] + VIM["input_prefix"] + VIM["prompt"]
    assert await answer_to(shared_rig, "/infill", VIM_AHEAD) == {}


async def test_the_answer_to_llama_vscode(shared_rig):
    found = await answer_to(shared_rig, "/infill", VSCODE)
    assert types_of(found) == ANSWER and found["stop_type"] == "limit"
    several = await answer_to(shared_rig, "/infill", VSCODE | {"n_cmpl": 3})
    assert isinstance(several, list) and [types_of(each) for each in several] == [ANSWER] * len(several)
    ahead = await answer_to(shared_rig, "/infill", VSCODE_AHEAD)
    assert types_of(ahead) == ANSWER and ahead["content"] == ""


async def test_sampled_answers_come_as_a_list(shared_rig):
    found = await answer_to(shared_rig, "/completion", {"prompt": "a", "temperature": 0.5, "n_cmpl": 3, "seed": 1})
    assert [each["index"] for each in found] == [0, 1, 2]


def chunks_of(body: bytes) -> list[dict]:
    events = body.decode("ascii").split("\n\n")
    assert events[-1] == "" and "[DONE]" not in body.decode()
    return [json.loads(each.removeprefix("data: ")) for each in events[:-1]]


async def test_a_stream_ends_with_an_event_that_has_all_fields(shared_rig):
    status, body = await ask(shared_rig, "/completion", TWINNY | {"prompt": "é\ud800ab", "temperature": 0})
    *texts, last = chunks_of(body)
    assert status == 200
    assert "".join(each["content"] for each in texts) == "é\ud800ab"
    assert all(set(each) == {"index", "content", "tokens", "stop", "id_slot"} for each in texts)
    assert not any(each["stop"] for each in texts)
    assert types_of(last) == ANSWER and last["stop"] is True and last["content"] == ""


async def test_streams_of_several_answers_and_of_indented_ones(shared_rig):
    sent = {"prompt": "ab", "temperature": 0.5, "n_cmpl": 2, "stream": True, "response_fields": ["index", "stop"]}
    chunks = chunks_of((await ask(shared_rig, "/completion", sent))[1])
    for index in (0, 1):
        mine = [each for each in chunks if each["index"] == index]
        assert "".join(each.get("content", "") for each in mine) == "ab"
        assert mine[-1] == {"index": index, "stop": True}
    sent = {"prompt": "a\n    b\nc", "stream": True, "n_indent": 4}
    *texts, last = chunks_of((await ask(shared_rig, "/completion", sent))[1])
    assert "".join(each["content"] for each in texts) == "a\n    b"
    assert (last["stop_type"], last["has_new_line"]) == ("limit", True)
    (last,) = chunks_of((await ask(shared_rig, "/infill", VIM_AHEAD | {"stream": True}))[1])
    assert last == {}


DEEP = b'{"prompt": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
BAD = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b"[]", "must be an object"),
    (DEEP, "request"),
    ({}, "request.input_prefix is missing"),
    ({"input_prefix": "a"}, "request.input_suffix is missing"),
    ({"input_prefix": 1, "input_suffix": ""}, "input_prefix must be a string"),
    (VIM | {"prompt": ["a"]}, "prompt must be"),
    (VIM | {"input_extra": {}}, "input_extra must be"),
    (VIM | {"input_extra": [{"filename": "a"}]}, "text is missing"),
    (VIM | {"input_extra": [{"text": 1}]}, "text must be a string"),
    (VIM | {"n_predict": -2}, "n_predict must be a whole number, at least -1"),
    (VIM | {"n_predict": 10**12}, "n_predict"),
    (VIM | {"n_predict": 10**30}, "n_predict"),
    (VIM | {"n_predict": "128"}, "n_predict must be"),
    (VIM | {"n_cmpl": 0}, "n_cmpl must be"),
    (VIM | {"n_cmpl": 1_000}, "1 to 16 answers"),
    (VIM | {"n_indent": -1}, "n_indent must be"),
    (VIM | {"temperature": 3}, "temperature must be a number, at most 2"),
    (json.dumps(VIM | {"temperature": float("nan")}).encode(), "NaN is not a number"),
    (json.dumps(VIM | {"t_max_predict_ms": 7777}).encode().replace(b"7777", b"1e400"), "finite"),
    (json.dumps(VIM | {"top_p": 7777}).encode().replace(b"7777", b"-1e400"), "finite"),
    (VIM | {"top_p": 1.5}, "top_p must be"),
    (VIM | {"seed": 10**30}, "seed"),
    (VIM | {"stop": ["x"] * 17}, "at most 16"),
    (VIM | {"stop": [1]}, "stop"),
    (VIM | {"stream": "yes"}, "stream must be true or false"),
    (VIM | {"response_fields": "content"}, "response_fields must be"),
    (VIM | {"grammar": "root ::= [0-9]+"}, "grammar is not supported"),
    (VIM | {"json_schema": {"type": "object"}}, "json_schema is not supported"),
    (VIM | {"model": "\ud800"}, "serves"),
    (VIM | {"model": "gpt-9"}, "serves"),
    (VIM | {"input_prefix": "", "prompt": "raise-input"}, "the fake does not like this"),
]


@pytest.mark.parametrize(("value", "words"), BAD)
async def test_a_bad_infill_request_is_told_in_llama_servers_shape(shared_rig, value, words):
    status, body = await ask(shared_rig, "/infill", value)
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message", "type"}
    assert words in error["message"] and "\n" not in error["message"]
    assert status == error["code"] == (404 if words == "serves" else 400)
    assert error["type"] == ("not_found_error" if words == "serves" else "invalid_request_error")


@pytest.mark.parametrize("value", [{}, {"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"prompt": None}, {"prompt": {}}])
async def test_a_prompt_is_one_text(shared_rig, value):
    status, body = await ask(shared_rig, "/completion", value)
    assert status == 400 and "request.prompt" in json.loads(body)["error"]["message"]


async def test_an_error_frees_its_slot(shared_rig):
    for stream in (False, True):
        status, body = await ask(shared_rig, "/completion", {"prompt": "raise-bug", "stream": stream})
        error = json.loads(body)["error"]
        assert (status, error["code"], error["type"]) == (500, 500, "server_error")
    slots = json.loads((await ask(shared_rig, "/slots", method="GET"))[1])
    assert [each["is_processing"] for each in slots] == [False] * 8
    assert all(
        types_of(each) == {"id": int, "n_ctx": int, "speculative": bool, "is_processing": bool} for each in slots
    )
    assert (await ask(shared_rig, "/slots?fail_on_no_slot=1", method="GET"))[0] == 200


async def test_properties(shared_rig):
    status, body = await ask(shared_rig, "/props", method="GET")
    found = json.loads(body)
    assert status == 200
    assert types_of(found) == {
        "default_generation_settings": dict, "total_slots": int, "model_alias": str, "model_path": str,
        "modalities": dict, "endpoint_slots": bool, "endpoint_props": bool, "endpoint_metrics": bool,
        "chat_template": str, "build_info": str,
    }  # fmt: skip
    assert set(found["default_generation_settings"]) == {"params", "n_ctx"}
    assert (found["model_alias"], found["total_slots"]) == ("fake", 8)


async def test_what_no_model_here_can_do_is_not_supported(shared_rig):
    for target in ("/tokenize", "/detokenize", "/apply-template", "/embedding", "/embeddings", "/rerank", "/props"):
        status, body = await ask(shared_rig, target, {})
        error = json.loads(body)["error"]
        assert (status, error["code"], error["type"]) == (501, 501, "not_supported_error")


async def test_health_is_what_llama_vscode_looks_for(shared_rig):
    for target in ("/health", "/v1/health"):
        status, body = await ask(shared_rig, target, method="GET")
        assert (status, json.loads(body)["status"]) == (200, "ok")


def test_what_is_not_supported_is_never_ignored():
    for field in ("grammar", "json_schema"):
        with pytest.raises(InputError, match=field):
            parse_completion(json.dumps({"prompt": "a", field: "x"}).encode())


async def test_properties_are_unavailable_while_the_model_loads():
    dialect = LlamaCppDialect(worker=Worker(lambda: pytest.fail("it is not started")), version="1")
    with pytest.raises(EngineUnavailable, match="being loaded"):
        await dialect.props(Request({"type": "http"}))


async def test_slots_say_that_all_are_busy(shared_rig):
    work = [asyncio.ensure_future(ask(shared_rig, "/completion", {"prompt": f"{i}"})) for i in range(8)]
    async with asyncio.timeout(30):
        while (found := await ask(shared_rig, "/slots?fail_on_no_slot=1", method="GET"))[0] == 200:
            assert not all(each.done() for each in work)
    status, body = found
    error = json.loads(body)["error"]
    assert (status, error["type"], error["message"]) == (503, "unavailable_error", "no slot available")
    assert [status for status, _ in await asyncio.gather(*work)] == [200] * 8
