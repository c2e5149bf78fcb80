import re

from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.drafts.context_index import N_FAR, N_NEAR, PrecedingTextIndex, query_of

N_SYMBOLS = N_NEAR + N_FAR
any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
code = st.text("ab. \n", max_size=120)


def symbols(text: str) -> list[str]:
    """Characters and rows of blanks, by another way than the index goes."""
    return re.findall(r" +|[^ ]", text)


def n_equal(prefix: str, before: str) -> int:
    n = 0
    for a, b in zip(reversed(symbols(prefix)), reversed(symbols(before)), strict=False):
        if a != b or n == N_SYMBOLS:
            break
        n += 1
    return n


def places(text: str) -> list[int]:
    """Behind every symbol."""
    return [i for i in range(1, len(text) + 1) if text[i - 1 : i + 1] != "  "]


@given(code, code)
def test_the_longest_match_is_found(text, prefix):
    query = query_of(prefix)
    longest = max((n_equal(prefix, text[:i]) for i in places(text)), default=0)
    n_symbols, rank = PrecedingTextIndex.of(text).rank_of(query)
    assert n_symbols == longest
    assert max((match.n_symbols for match in PrecedingTextIndex.of(text).around(rank, query, 1)), default=0) == longest


@given(code, code, st.integers(1, 4))
def test_what_is_around_agrees_as_it_says_and_is_the_best(text, prefix, n_side):
    tails, query = PrecedingTextIndex.of(text), query_of(prefix)
    found = tails.around(tails.rank_of(query)[1], query, n_side)
    assert len(found) <= 2 * n_side
    for match in found:
        assert match.n_symbols == n_equal(prefix, text[: match.place])
    for n in range(1, N_SYMBOLS + 1):
        n_there = sum(n_equal(prefix, text[:i]) >= n for i in places(text))
        assert sum(match.n_symbols >= n for match in found) >= min(n_side, n_there)


@given(any_text, any_text)
def test_any_text_has_an_index(text, prefix):
    tails, query = PrecedingTextIndex.of(text), query_of(prefix)
    n_symbols, rank = tails.rank_of(query)
    assert 0 <= n_symbols <= N_SYMBOLS
    assert sorted(tails.places.tolist()) == places(text)
    assert all(0 < match.place <= len(text) for match in tails.around(rank, query, 4))


def test_rows_of_blanks_are_one_symbol():
    text = "if a:\n            return 1\nif b:\n        return 2\n"
    n_symbols, rank = PrecedingTextIndex.of(text).rank_of(query := query_of("x\n        return "))
    assert n_symbols == len("\n") + 1 + len("return ")
    best = max(PrecedingTextIndex.of(text).around(rank, query, 2))
    assert text[best.place :] == "2\n"


def test_nothing_is_left_of_the_cursor():
    assert PrecedingTextIndex.of("some text").rank_of(query_of(""))[0] == 0
    assert PrecedingTextIndex.of("").rank_of(query_of("some text")) == (0, 0)
    assert PrecedingTextIndex.of("import os").rank_of(query_of("im"))[0] == 2  # beginnings alone are no match


def test_among_many_places_that_agree_near_by_those_that_agree_further_left_are_found():
    text = "".join(f"{letter}.append({letter})\n" for letter in "abcdefghijklmnopqrstuvwxyz")
    for letter in "amz":
        n_symbols, rank = PrecedingTextIndex.of(text).rank_of(query := query_of(f"{letter}.append("))
        best = max(PrecedingTextIndex.of(text).around(rank, query, 1))
        assert n_symbols == best.n_symbols == len(f"{letter}.append(")
        assert text[best.place] == letter
