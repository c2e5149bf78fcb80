"""Requests, completions and states survive the wire; anything else is one clear line."""

import json
import math
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.fim.types import (
    MAX_CANDIDATES,
    MAX_OFFER_CHARS,
    MAX_OFFERS,
    MAX_SNIPPET_CHARS,
    MAX_SNIPPETS,
    Alternative,
    Completion,
    CompletionRequest,
    CompletionSource,
    Hole,
    Offer,
    OfferSource,
    PolicyName,
    TraceCell,
    TraceFrame,
)
from quicksilver.serving.api.openai import parse_call
from quicksilver.serving.bounds import JUMP_CHARS, MAX_PATH_CHARS, MAX_SIDE_CHARS, bound_hole
from quicksilver.serving.paths import PROTOCOL
from quicksilver.serving.wire import (
    EngineHealth,
    decode_completion,
    decode_health,
    decode_request,
    encode_completion,
    encode_health,
    encode_request,
)

any_text = st.text(alphabet=st.characters(exclude_categories=()))  # lone surrogates and NUL included
counts = st.integers(0, 10**9)
milliseconds = st.floats(0, 1e9)

holes = st.builds(
    Hole,
    prefix=any_text,
    suffix=any_text,
    language=any_text,
    replaced=st.tuples(counts, counts).map(lambda pair: (min(pair), max(pair))),
    multiline=st.booleans(),
)
offers = st.builds(Offer, text=any_text, source=st.sampled_from(get_args(OfferSource)), n_before=counts, n_after=counts)
requests = st.builds(
    CompletionRequest,
    hole=holes,
    path=any_text,
    snippets=st.lists(any_text, max_size=3).map(tuple),
    budget_ms=st.none() | milliseconds,
    max_evaluations=st.integers(1, 1000),
    max_tokens=st.none() | st.integers(1, 1000),
    policy=st.none() | st.sampled_from(get_args(PolicyName)),
    offers=st.lists(offers, max_size=3).map(tuple),
    n_alternatives=st.integers(0, MAX_CANDIDATES),
    min_probability=st.floats(0, 1),
    trace=st.booleans(),
    warms=st.booleans(),
)
frames = st.builds(
    TraceFrame,
    step=counts,
    elapsed_ms=milliseconds,
    cells=st.lists(
        st.builds(TraceCell, text=any_text, state=st.sampled_from(["masked", "new", "kept"])), max_size=3
    ).map(tuple),
)
alternatives = st.builds(
    Alternative,
    text=any_text,
    confidence=st.floats(0, 1),
    source=st.sampled_from(get_args(CompletionSource)),
    n_tokens=counts,
)
completions = st.builds(
    Completion,
    text=any_text,
    range=st.tuples(counts, counts),
    confidence=st.floats(0, 1),
    finish_reason=st.sampled_from(["stop", "length", "budget", "cancelled"]),
    steps=counts,
    n_tokens=counts,
    model=any_text,
    source=st.sampled_from(get_args(CompletionSource)),
    timings_ms=st.dictionaries(any_text, milliseconds, max_size=3),
    n_context=counts,
    n_cached=counts,
    alternatives=st.lists(alternatives, max_size=3).map(tuple),
    trace=st.lists(frames, max_size=2).map(tuple),
)


@given(requests)
def test_request_round_trip(request_):
    assert decode_request(encode_request(request_)) == request_


@given(completions)
def test_completion_round_trip(completion):
    assert decode_completion(encode_completion(completion)) == completion


def test_health_round_trip():
    health = EngineHealth(
        status="failed", version="1", pid=7, uptime_s=0.5, n_jobs=2, model="m", reason="r", facts={"a": 1, "b": "é"}
    )
    assert decode_health(encode_health(health)) == health


def test_a_ready_engine_is_ok_on_the_wire():
    health = EngineHealth(status="ready", version="1", pid=7, uptime_s=0.5)
    assert json.loads(encode_health(health))["status"] == "ok"
    assert decode_health(encode_health(health)) == health


def test_surrogate_pair_of_code_points_stays_two():
    hole = Hole(prefix="\ud83d\ude00", suffix="😀", language="python", replaced=(2, 2), multiline=True)
    assert decode_request(encode_request(CompletionRequest(hole=hole))).hole == hole


def test_escaped_lone_surrogate_is_understood():
    value = _valid()
    value["hole"]["prefix"] = "a\ud800"
    assert b"\\ud800" in json.dumps(value).encode()
    assert decode_request(json.dumps(value).encode()).hole.prefix == "a\ud800"


def test_only_the_hole_is_needed():
    hole = Hole(prefix="p", suffix="s", language="python", replaced=(1, 1), multiline=True)
    assert decode_request(json.dumps({"hole": _valid()["hole"]}).encode()) == CompletionRequest(hole=hole)


def test_another_wire_has_another_protocol_number():
    """An engine of an older checkout, which has the same package version, must not be met: it refuses new keys."""
    hole = Hole(prefix="p", suffix="s", language="python", replaced=(1, 1), multiline=True)
    sent = json.loads(encode_request(CompletionRequest(hole=hole)))
    keys = [*sorted(sent["hole"]), *sorted(sent.keys() - {"hole"})]
    expected = (
        "in_prose language multiline prefix replaced suffix budget_ms drafts lengths log_probs max_evaluations"
        " max_tokens mends messages min_probability n_alternatives offers path policy sampling snippets stop streams"
        " trace warms"
    )
    assert (PROTOCOL, " ".join(keys)) == (4, expected)  # where keys change, raise PROTOCOL too


def test_infinite_budget_travels_as_none():
    hole = Hole(prefix="p", suffix="s", language="python", replaced=(1, 1), multiline=True)
    sent = CompletionRequest(hole=hole, budget_ms=math.inf)
    assert decode_request(encode_request(sent)).budget_ms is None


def _valid() -> dict:
    return {
        "hole": {"prefix": "p", "suffix": "s", "language": "python", "replaced": [1, 1], "multiline": True},
        "path": "",
        "snippets": [],
        "budget_ms": 10,
        "max_evaluations": 4,
        "max_tokens": None,
        "policy": None,
        "trace": False,
        "warms": False,
    }


OFFER = {"text": "a", "source": "workspace", "n_before": 3}
BAD_VALUES = [
    ("hole", None, "request.hole must be an object, not null"),
    ("hole.prefix", 3, "request.hole.prefix must be a string, not a whole number"),
    ("hole.replaced", [2], "request.hole.replaced must be a list of 2, not 1"),
    ("hole.replaced", [2, 1], "replaced must be a range of offsets"),
    ("hole.replaced", [0, 1.5], "request.hole.replaced[1] must be a whole number, not a number"),
    ("hole.replaced", [-1, 1], "replaced must be a range of offsets"),
    ("hole.multiline", 1, "request.hole.multiline must be true or false, not a whole number"),
    ("hole.extra", 1, "request.hole has an unknown key 'extra'"),
    ("snippets", "text", "request.snippets must be a list, not a string"),
    ("snippets", ["a", 1], "request.snippets[1] must be a string, not a whole number"),
    ("budget_ms", -1, "budget_ms must be a number of milliseconds, not -1"),
    ("budget_ms", True, "request.budget_ms must be a number or null, not true or false"),
    ("budget_ms", 10**400, "request.budget_ms: the number is too large"),
    ("max_evaluations", 0, "max_evaluations must be at least 1, not 0"),
    ("max_evaluations", 1.0, "request.max_evaluations must be a whole number"),
    ("max_evaluations", True, "request.max_evaluations must be a whole number"),
    ("max_tokens", 0, "max_tokens must be at least 1, not 0"),
    ("policy", "greedy", "request.policy is not one of the known values"),
    ("offers", {}, "request.offers must be a list, not an object"),
    ("offers", ["x"], "request.offers[0] must be an object, not a string"),
    ("offers", [OFFER | {"source": "file"}], "request.offers[0].source is not one of the known values"),
    ("offers", [OFFER | {"text": 1}], "request.offers[0].text must be a string, not a whole number"),
    ("offers", [OFFER | {"n_before": -1}], "request.offers[0]: an offer's characters that agree are 0 or more, not -1"),
    ("offers", [OFFER | {"n_shape": 1}], "request.offers[0] has an unknown key 'n_shape'"),
    ("offers", [OFFER, {"text": "a", "source": "workspace"}], "request.offers[1].n_before is missing"),
    ("offers", [OFFER | {"text": "a" * (MAX_OFFER_CHARS + 1)}], "an offer may have at most 4096 characters, not 4097"),
    ("offers", [OFFER] * (MAX_OFFERS + 1), "there may be at most 32 offers, not 33"),
    ("n_alternatives", -1, "n_alternatives must be from 0 to 16, not -1"),
    ("min_probability", 1.5, "min_probability must be from 0 to 1, not 1.5"),
    ("n_alternatives", MAX_CANDIDATES + 1, "n_alternatives must be from 0 to 16, not 17"),
    ("trace", "yes", "request.trace must be true or false, not a string"),
    ("budget", 1, "request has an unknown key 'budget'"),
]


@pytest.mark.parametrize(("key", "bad", "message"), BAD_VALUES)
def test_bad_value_is_one_clear_line(key, bad, message):
    value = _valid()
    *parents, last = key.split(".")
    target = value[parents[0]] if parents else value
    target[last] = bad
    with pytest.raises(InputError) as caught:
        decode_request(json.dumps(value).encode())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_offer_of_the_largest_size_and_the_largest_number_of_them_pass():
    value = _valid() | {"offers": [OFFER | {"text": "a" * MAX_OFFER_CHARS}] * MAX_OFFERS}
    assert len(decode_request(json.dumps(value).encode()).offers) == MAX_OFFERS


def test_a_request_holds_no_more_than_a_model_reads():
    snippets = ["a" * MAX_SNIPPET_CHARS] * MAX_SNIPPETS
    assert len(decode_request(json.dumps(_valid() | {"snippets": snippets}).encode()).snippets) == MAX_SNIPPETS
    for bad, words in (
        ({"snippets": ["a"] * (MAX_SNIPPETS + 1)}, "there may be at most 64 snippets, not 65"),
        ({"snippets": ["a" * (MAX_SNIPPET_CHARS + 1)]}, "a snippet may have at most 16384 characters"),
        ({"offers": [OFFER] * (MAX_OFFERS + 1)}, "there may be at most 32 offers, not 33"),
    ):
        with pytest.raises(InputError, match=words):
            decode_request(json.dumps(_valid() | bad).encode())
    assert decode_request(json.dumps(_valid() | {"path": "a" * 9_000 + "/b.py"}).encode()).path.endswith("a/b.py")
    assert len(decode_request(json.dumps(_valid() | {"path": "a" * 9_000}).encode()).path) == MAX_PATH_CHARS


def test_text_far_from_the_hole_is_left_out_in_jumps():
    def cut(n_before, n_after):
        prefix, suffix = "".join(map(chr, range(0x4E00, 0x4E00 + 9))) * (n_before // 9 + 1), "s" * n_after
        prefix = prefix[:n_before]
        hole = Hole(prefix=prefix, suffix=suffix, language="", replaced=(n_before, n_before), multiline=True)
        found = bound_hole(hole)
        assert prefix.endswith(found.prefix)
        assert suffix.startswith(found.suffix)
        assert found.replaced == hole.replaced
        return len(found.prefix), len(found.suffix)

    whole = MAX_SIDE_CHARS
    assert cut(whole, whole) == (whole, whole)
    assert cut(whole + 1, whole + 1) == (whole - JUMP_CHARS + 1, whole)
    assert cut(whole + JUMP_CHARS, 0) == (whole, 0)
    assert cut(30 * whole + 7, 0) == (whole - JUMP_CHARS + 7, 0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"confidence": -1}, "completion.alternatives[0].confidence must be a number, at least 0"),
        ({"source": "nowhere"}, "completion.alternatives[0].source is not one of the known values"),
        ({"trace": []}, "completion.alternatives[0] has an unknown key 'trace'"),
    ],
)
def test_bad_alternative_is_one_clear_line(bad, message):
    completion = Completion(
        text="", range=(0, 0), confidence=0, finish_reason="stop", steps=1, n_tokens=0, model="m",
        alternatives=(Alternative(text="a", confidence=0.5, source="workspace", n_tokens=1),),
    )  # fmt: skip
    value = json.loads(encode_completion(completion))
    value["alternatives"][0] |= bad
    with pytest.raises(InputError) as caught:
        decode_completion(json.dumps(value).encode())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"hole": NaN}', b'{"budget_ms": 1e999}', b"[" * 100_000, b"9" * 5000],
)
def test_bad_bytes_are_an_input_error(data):
    with pytest.raises(InputError) as caught:
        decode_request(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(number):
    data = json.dumps(_valid()).replace('"budget_ms": 10', f'"budget_ms": {number}').encode()
    with pytest.raises(InputError):
        decode_request(data)


def test_error_does_not_quote_the_text():
    value = _valid() | {"trace": "password = 'hunter2'"}
    with pytest.raises(InputError) as caught:
        decode_request(json.dumps(value).encode())
    assert "hunter2" not in str(caught.value)


def test_nan_confidence_cannot_be_sent():
    completion = Completion(
        text="", range=(0, 0), confidence=math.nan, finish_reason="stop", steps=1, n_tokens=0, model="m"
    )
    with pytest.raises(ValueError, match="JSON"):
        encode_completion(completion)


def test_what_other_libraries_call_numbers_and_texts_is_sent():
    facts = MappingProxyType({"torch": type("TorchVersion", (str,), {})("2.0"), "share": np.float64(0.5)})
    health = EngineHealth(status="ready", version="1", pid=1, uptime_s=np.float64(1.5), facts=facts)
    assert decode_health(encode_health(health)).facts == {"torch": "2.0", "share": 0.5}
    with pytest.raises(ValueError, match="JSON"):
        encode_health(replace(health, facts={"a": object()}))  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "change", [{"hole": "\ud800"}, {"policy": "\ud800"}, {"drafts": "\ud800"}, {"trace": "\ud800"}]
)
def test_half_a_character_where_no_text_belongs_is_an_input_error(change):
    with pytest.raises(InputError):
        decode_request(json.dumps(_valid() | change).encode())


def test_a_number_below_an_ignored_key_may_be_anything():
    assert parse_call(b'{"prompt": "a", "other": {"x": 1e400}, "\\ud800": 1}').call.request.hole.prefix == "a"
    with pytest.raises(InputError, match="finite"):
        parse_call(b'{"prompt": "a", "budget_ms": 1e400}')
