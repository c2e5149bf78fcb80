import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.common_prefix import common_prefix
from quicksilver.model.completion.layout import OwnLayout
from quicksilver.model.special_tokens import Special
from tiny import TEXTS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
LAYOUT = OwnLayout(TOKENIZER)


def request(prefix, suffix="", snippets=(), path="a/b.py"):
    at = len(prefix)
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(at, at), multiline=False)
    return CompletionRequest(hole=hole, path=path, snippets=tuple(snippets))


def test_order_most_stable_first():
    tokens = LAYOUT.context(request("x = ", "\ny", ["snip"]), 200)
    specials = [Special(t - TOKENIZER.n_text) for t in tokens if t >= TOKENIZER.n_text]
    order = [Special.BOS, Special.LANGUAGE_PYTHON, Special.PATH, Special.SNIPPET, Special.SUFFIX, Special.PREFIX]
    assert specials == order
    assert TOKENIZER.decode(tokens) == "a/b.pysnip\nyx = "


@settings(deadline=None)
@given(st.text(max_size=3000), st.text(max_size=800), st.lists(st.text(max_size=300), max_size=4), st.integers(60, 200))
def test_never_longer_than_asked(prefix, suffix, snippets, n_tokens):
    assert len(LAYOUT.context(request(prefix, suffix, snippets), n_tokens)) <= n_tokens


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4000), st.integers(80, 200))
def test_the_prefix_ends_at_the_cursor(n_chars, n_tokens):
    text = (TEXTS[0] * 40)[:n_chars]
    decoded = TOKENIZER.decode(LAYOUT.context(request(text, path=""), n_tokens))
    assert text.endswith(decoded) and len(decoded) >= min(len(text), 40)


def test_typing_rarely_moves_the_window():
    """Over 200 typed characters nearly every context must extend the one before it, or the cache would be useless."""
    text, n_kept = (TEXTS[0] + TEXTS[1]) * 20, 0
    previous: list[int] = []
    for n in range(2000, 2200):
        tokens = LAYOUT.context(request(text[:n], "\nend\n"), 150)
        n_kept += common_prefix(previous, tokens) >= 0.5 * len(tokens)
        previous = tokens
    assert n_kept >= 190


@pytest.mark.parametrize("eol", ["\r\n", "\r"])
def test_line_breaks_look_alike(eol):
    plain = LAYOUT.context(request("a\n    b", "\nc"), 100)
    assert LAYOUT.context(request("a\n    b".replace("\n", eol), "\nc".replace("\n", eol)), 100) == plain


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab_1(. \t\n\r\f\v\x1c\x85\u2028\u3000é😀", max_size=60))
def test_remembered_tokens_are_the_tokenizers(text):
    layout = OwnLayout(TOKENIZER)
    for end in range(len(text) + 1):
        assert layout.encode(text[:end]) == TOKENIZER.encode(text[:end])


def test_only_the_end_of_a_long_text_is_tokenised_again():
    seen = []

    class Watched:
        def encode(self, text):
            seen.append(text)
            return TOKENIZER.encode(text)

        def last_boundary(self, text):
            return TOKENIZER.last_boundary(text)

    layout = OwnLayout(Watched())  # type: ignore[arg-type]
    layout.encode("x = 1\n" * 100 + "y")
    seen.clear()
    layout.encode("x = 1\n" * 100 + "y =")
    assert seen == ["\ny ="]
