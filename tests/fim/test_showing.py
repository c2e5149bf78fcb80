"""What of the candidates is shown: golden cases, and properties of any candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.display import N_LEAST, choose_display, whole_candidates
from quicksilver.fim.types import Alternative, Completion


def completion(text, prefixes=(), *alternatives, confidence=0.3):
    return Completion(
        text=text,
        range=(0, 0),
        confidence=confidence,
        finish_reason="stop",
        steps=1,
        n_tokens=1,
        model="m",
        source="file",
        prefixes=prefixes,
        alternatives=tuple(
            Alternative(text=t, confidence=0.1, source="denoiser", n_tokens=1, prefixes=p) for t, p in alternatives
        ),
    )


def same(text):
    return text


def shown(of, least, *, trimmed=same, **options):
    found = choose_display(of, trimmed, least, **options)
    return None if found is None else (found.text, found.is_cut)


LINE = completion("self.width * height", ((4, 0.9), (10, 0.7), (12, 0.6), (19, 0.2)))


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0.0, ("self.width *", True)),  # 12 * .6 = 7.2
        (0.2, ("self.width", True)),
        (0.5, ("self.width", True)),
        (0.65, ("self", True)),
        (0.95, None),
    ],
)
def test_the_beginning_with_most_to_gain_among_the_sure(least, expected):
    assert shown(LINE, least) == expected


def test_another_candidate_may_have_more_to_gain():
    of = completion("foo", ((3, 0.9),), ("barbarbar", ((9, 0.85),)))
    assert shown(of, 0.8) == ("barbarbar", False) and shown(of, 0.88) == ("foo", False)
    found = choose_display(of, same, 0.8)
    assert found is not None and (found.source, found.probability) == ("denoiser", 0.85)


CALL = completion("[Expense]) -> dict:", ((1, 0.99), (8, 0.95), (10, 0.93), (13, 0.9), (18, 0.8), (19, 0.7)))


@pytest.mark.parametrize(
    ("of", "least", "expected"),
    [
        (CALL, 0.92, "[Expense])"),  # the closers are sure enough too
        (CALL, 0.94, "[Expense"),  # they are not
        (
            completion("defaultdict(Decimal)", ((11, 0.97), (12, 0.96), (19, 0.95), (20, 0.93))),
            0.92,
            "defaultdict(Decimal)",
        ),
        (completion("totals[expense]", ((6, 0.98), (7, 0.97), (14, 0.9), (15, 0.9))), 0.92, "totals"),  # not "totals["
        (completion("f([x", ((1, 0.98), (2, 0.97), (3, 0.97), (4, 0.2))), 0.92, "f(["),  # else too short to show
        (completion('"blue", x', ((1, 0.98), (5, 0.96), (7, 0.93), (9, 0.2))), 0.92, '"blue'),  # no bracket
        (completion("a[0])):", ((1, 0.99), (2, 0.99), (3, 0.97), (4, 0.95), (6, 0.94), (7, 0.93))), 0.92, "a[0])):"),
        (completion("width) + x", ((5, 0.95), (10, 0.93))), 0.92, "width"),  # code follows the closer
    ],
)
def test_a_beginning_ends_behind_its_closing_brackets_and_not_behind_an_opening_one(of, least, expected):
    found = choose_display(of, same, least)
    assert found is not None and found.text == expected


def test_a_closing_bracket_that_stands_there_is_not_shown_again():
    of = completion("expense]) -> x", ((7, 0.95), (9, 0.93), (12, 0.5)))
    assert shown(of, 0.92) == ("expense])", True)
    assert shown(of, 0.92, trimmed=lambda text: text.rstrip("])")) == ("expense", True)
    assert shown(of, 0.92, may_round=False) == ("expense", True)


def test_without_cuts_all_or_nothing():
    assert shown(LINE, 0.65, may_cut=False) is None
    assert shown(LINE, 0.15, may_cut=False) == ("self.width * height", False)


def test_what_is_too_short_to_accept_is_not_shown():
    assert shown(completion("()", ((2, 1.0),)), 0.5) is None
    assert shown(completion("():", ((3, 1.0),)), 0.5) == ("():", False)
    assert shown(completion("abcdef", ((6, 1.0),)), 0.5, trimmed=lambda text: text[:2]) is None


def test_a_candidate_that_was_not_verified_counts_with_its_confidence():
    assert shown(completion("value", confidence=0.6), 0.5) == ("value", False)
    assert shown(completion("value", confidence=0.6), 0.7) is None


def test_trimming_may_change_which_is_best():
    of = completion("abcdefgh)", ((8, 0.9), (9, 0.9)), ("abcdefg", ((7, 0.9),)))
    assert shown(of, 0.5, trimmed=lambda text: "abc" if ")" in text else text) == ("abcdefgh", True)
    assert shown(of, 0.5, trimmed=lambda text: "") is None


def test_wholes_are_the_likeliest_however_likely():
    of = completion("abc", ((3, 0.01),), ("def", ()), ("abc ", ()), ("ghi", ()), confidence=0.02)
    found = whole_candidates(of, str.strip, 3)
    assert [(each.text, each.probability, each.source, each.is_cut) for each in found] == [
        ("abc", 0.02, "file", False),
        ("def", 0.1, "denoiser", False),
        ("ghi", 0.1, "denoiser", False),
    ]
    assert [each.text for each in whole_candidates(of, str.strip)] == ["abc"]
    assert whole_candidates(completion("abc"), lambda text: "") == []


texts = st.text("ab_ (\n", min_size=1, max_size=12)


@st.composite
def candidates(draw):
    text = draw(texts)
    ends = sorted(draw(st.sets(st.integers(1, len(text))))) or [len(text)]
    sure = sorted(draw(st.lists(st.floats(0, 1), min_size=len(ends), max_size=len(ends))), reverse=True)
    return text, tuple(zip(ends, sure, strict=True))


@given(candidates(), st.lists(candidates(), max_size=4), st.floats(0, 0.999))
def test_what_is_shown_is_a_beginning_and_sure_enough(first, others, least):
    of = completion(*first, *others)
    found = choose_display(of, same, least)
    everything = [(text[:n], p) for text, prefixes in (first, *others) for n, p in prefixes]
    if found is not None:
        assert (found.text, found.probability) in everything
        assert len(found.text.strip()) >= N_LEAST and found.probability >= least
    else:
        assert not any(p >= least and len(text.strip()) >= N_LEAST for text, p in everything[:1])


@given(candidates(), st.floats(0, 0.9))
def test_who_demands_more_is_never_shown_what_is_less_sure(first, least):
    of = completion(*first)
    lenient, strict = (choose_display(of, same, each) for each in (least, least + 0.1))
    if strict is not None:
        assert lenient is not None and strict.probability >= least + 0.1
