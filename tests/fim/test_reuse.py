"""What is left of a shown text while it is being typed; anything else that changes ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.reuse import Shown, typed_through
from quicksilver.fim.text.document import Document

TEXTS = st.text(alphabet="ab(\n é😀", max_size=12)


def document(text: str, version: int = 1) -> Document:
    return Document(uri="file:///a.py", version=version, language="python", text=text)


@given(TEXTS, TEXTS, TEXTS.filter(bool), st.data())
def test_typing_a_shown_text_leaves_its_end(before, after, text, data):
    n = data.draw(st.integers(0, len(text)))
    shown = Shown(document(before + after), len(before), text)
    left = typed_through(shown, document(before + text[:n] + after, 2), len(before) + n)
    assert left == (text[n:] or None)


@given(TEXTS, TEXTS, TEXTS.filter(bool), TEXTS, st.integers(0, 30))
def test_what_is_reused_leads_to_the_same_text(before, after, text, changed, offset):
    """Wherever something is left, inserting it gives what accepting the shown text would have given."""
    shown = Shown(document(before + after), len(before), text)
    offset = min(offset, len(changed))
    left = typed_through(shown, document(changed, 2), offset)
    if left is not None:
        assert changed[:offset] + left + changed[offset:] == before + text + after


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("x = fop\n", 7),  # another letter
        ("x = f)\n", 5),  # a bracket that the editor closed
        ("x = \n", 3),  # the cursor moved left
        ("y = f\n", 5),  # another place changed
        ("x = f\n\n", 5),
        ("x = foo()\n", 9),  # typed to its end
    ],
)
def test_anything_else_ends_it(text, offset):
    assert typed_through(Shown(document("x = \n"), 4, "foo()"), document(text, 2), offset) is None
