"""Whatever stands in a body, a dialect makes a call of it or says in one line what is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.serving.api.chat import parse_chat_call
from quicksilver.serving.api.fim import parse_fim_call
from quicksilver.serving.api.llamacpp.body import parse_completion, parse_infill
from quicksilver.serving.api.ollama.body import parse_chat, parse_generate
from quicksilver.serving.api.openai import parse_call

FIELDS = (
    "prompt", "suffix", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed",
    "random_seed", "stop", "stream", "stream_options", "include_usage", "n", "best_of", "echo", "logprobs",
    "top_logprobs", "language", "path", "model", "budget_ms", "diffusing", "infilling_marks", "role", "content", "type",
    "text", "tools", "response_format", "other", "n_predict", "n_indent", "n_cmpl",
    "t_max_predict_ms", "t_max_prompt_ms",
    "input_extra", "filename", "response_fields", "id_slot", "grammar", "json_schema", "options", "num_predict",
    "format",
    "think", "images",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["user", "text", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "\ud800", "\0"]),
)
NUMBERS = st.one_of(
    st.integers(-3, 40), st.sampled_from([10**30, -(10**400), 10**400, 1.5, -0.0, 1e300, float("inf"), float("nan")])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)),
    max_leaves=8,
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXTS, "content": VALUES}), max_size=3)


@pytest.mark.parametrize(
    ("parse", "needed"),
    [
        (parse_call, {"prompt": TEXTS}),
        (parse_fim_call, {"prompt": TEXTS}),
        (parse_chat_call, {"messages": MESSAGES}),
        (parse_infill, {"input_prefix": TEXTS, "input_suffix": TEXTS}),
        (parse_completion, {"prompt": TEXTS}),
        (parse_generate, {"options": VALUES}),
        (parse_chat, {"messages": MESSAGES, "options": VALUES}),
    ],
)
@settings(max_examples=120)
@given(data=st.data())
def test_a_body_is_a_call_or_one_line(parse, needed, data):
    body = data.draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
    body |= data.draw(st.fixed_dictionaries(needed))
    try:
        parse(json.dumps(body).encode())
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 200


@pytest.mark.parametrize(
    ("parse", "needed"),
    [
        (parse_call, {"prompt": "a"}),
        (parse_fim_call, {"prompt": "a"}),
        (parse_chat_call, {"messages": [{"role": "user", "content": "a"}]}),
        (parse_infill, {"input_prefix": "a", "input_suffix": ""}),
        (parse_completion, {"prompt": "a"}),
        (parse_generate, {"prompt": "a"}),
        (parse_chat, {"messages": [{"role": "user", "content": "a"}]}),
    ],
)
def test_null_is_as_good_as_a_field_left_out(parse, needed):
    nulls = dict.fromkeys(FIELDS) | needed
    assert parse(json.dumps(nulls).encode()) == parse(json.dumps(needed).encode())
