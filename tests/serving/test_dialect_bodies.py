"""Whatever stands in a body, a dialect makes a call of it or says in one line what is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.serving.api.chat import parse_chat_call
from quicksilver.serving.api.fim import parse_fim_call
from quicksilver.serving.api.openai import parse_call

FIELDS = (
    "prompt", "suffix", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed",
    "random_seed", "stop", "stream", "stream_options", "include_usage", "n", "best_of", "echo", "logprobs",
    "top_logprobs", "language", "path", "model", "budget_ms", "diffusing", "infilling_marks", "role", "content", "type",
    "text", "tools", "response_format", "other",
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["user", "text", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "\ud800", "\0"]),
)
NUMBERS = st.one_of(
    st.integers(-3, 40), st.sampled_from([10**30, -(10**30), 1.5, -0.0, 1e300, float("inf"), float("nan")])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)),
    max_leaves=8,
)
MESSAGES = st.lists(st.fixed_dictionaries({"role": TEXTS, "content": VALUES}), max_size=3)


@pytest.mark.parametrize(
    ("parse", "needed"),
    [(parse_call, {"prompt": TEXTS}), (parse_fim_call, {"prompt": TEXTS}), (parse_chat_call, {"messages": MESSAGES})],
)
@settings(max_examples=400)
@given(data=st.data())
def test_a_body_is_a_call_or_one_line(parse, needed, data):
    body = data.draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6))
    body |= data.draw(st.fixed_dictionaries(needed))
    try:
        parse(json.dumps(body).encode())
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 200
