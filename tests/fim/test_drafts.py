import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.drafts.search import N_CHARS_MAX, Draft, draft_at, drafts_from_offers, find_drafts
from quicksilver.fim.types import Hole, Offer

FILE = """class Shop:
    def open(self):
        self.log.info("opening %s", self.name)
        self.doors.unlock()
        self.is_open = True

    def close(self):
        self.log.info("closing %s", self.name)
"""


def hole(prefix: str, suffix: str = "\n", multiline: bool = False) -> Hole:
    return Hole(
        prefix=prefix, suffix=suffix, language="python", replaced=(len(prefix), len(prefix)), multiline=multiline
    )


def texts(found):
    return [draft.text for draft in found]


def test_what_followed_the_same_characters():
    found = find_drafts(hole(FILE + "        self.doors.un"))
    assert texts(found)[0] == "lock()"
    assert found[0].source == "file"
    assert found[0].n_before >= len('ing %s", self.name)\n        self.doors.un')


def test_more_agreeing_characters_come_first():
    found = find_drafts(hole(FILE + '        self.log.info("clos'))
    assert texts(found)[0] == 'ing %s", self.name)'


def test_below_the_cursor_too():
    assert texts(find_drafts(hole("        self.log.inf", "\n" + FILE)))[0] == 'o("opening %s", self.name)'


def test_snippets():
    found = find_drafts(hole("shop.doors.un"), [FILE])
    assert (found[0].text, found[0].source) == ("lock()", "snippet")


def test_a_draft_ends_where_the_text_right_of_the_cursor_begins():
    assert texts(find_drafts(hole(FILE + '        self.log.info("pausing %s"', ")\n")))[0] == ", self.name"


def test_a_cursor_inside_a_word_is_met_by_what_stands_right_of_it_there():
    """As many characters as are found, on the same line; blanks right of the cursor belong to it."""
    found = find_drafts(hole("x = os.path.realpath\nhere = o", "ath.dirname(there)", multiline=True))
    assert "s.p" in texts(found)
    assert texts(find_drafts(hole("which axes to plot on\nwhich ax", " on,\n", multiline=True))) == ["es to plot"]
    assert not find_drafts(hole("x = os.path.realpath\nhere = o", "zz.dirname(there)", multiline=True))


def test_a_draft_of_several_lines_ends_with_its_block_or_before_the_line_below():
    prefix = FILE + "\n    def open_again(self):\n        self.log."
    block = find_drafts(hole(prefix, "\n", multiline=True))[0].text
    assert block == 'info("opening %s", self.name)\n        self.doors.unlock()\n        self.is_open = True'
    bridged = find_drafts(hole(prefix, "\n        self.is_open = True\n", multiline=True))[0].text
    assert bridged == 'info("opening %s", self.name)\n        self.doors.unlock()'


def offer(text: str, n_before: int, n_after: int = 0) -> Offer:
    return Offer(text=text, source="workspace", n_before=n_before, n_after=n_after)


def test_offers_stand_among_the_files_own_by_how_much_agrees():
    at = hole("a = width\nthe area = height\nthis area = ")
    own = find_drafts(at)
    assert (own[0].text, own[0].n_before) == ("height", len(" area = "))
    found = find_drafts(at, offers=[offer("depth", 40), offer("length", 0)])
    assert [(d.text, d.source) for d in found[:2]] == [("depth", "workspace"), ("height", "file")]
    assert "length" in texts(found)
    assert texts(find_drafts(at, n_max=1, offers=[offer("depth", 40)])) == ["depth"]


@pytest.mark.parametrize(("n_before", "source"), [(7, "file"), (8, "file"), (9, "workspace")])
def test_the_same_text_in_two_places_counts_where_it_agrees_best(n_before, source):
    at = hole("the area = height\nthis area = ")
    (found,) = [d for d in find_drafts(at, offers=[offer("height", n_before, 1)]) if d.text == "height"]
    assert (found.source, found.n_before) == (source, max(8, n_before))


def test_an_offer_of_several_lines_or_none_is_not_for_one_line():
    assert find_drafts(hole("q"), offers=[offer("a\nb", 9), offer(" \n", 9)]) == []
    assert texts(find_drafts(hole("q", multiline=True), offers=[offer("a\nb", 9), offer(" \n", 9)])) == ["a\nb"]


def test_only_drafts_from_other_files_are_offered():
    drafts = [Draft(s, s, 5, 1) for s in ("file", "open file", "workspace", "snippet")]
    assert [(o.text, o.source, o.n_before, o.n_after) for o in drafts_from_offers(drafts)] == [
        ("open file", "open file", 5, 1), ("workspace", "workspace", 5, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("multiline", [False, True])
def test_what_stands_in_a_very_long_line_is_no_draft(multiline):
    for n, is_found in ((N_CHARS_MAX, True), (N_CHARS_MAX + 1, False), (10 * N_CHARS_MAX, False)):
        text = "data = " + "x" * n + "\n"
        assert (draft_at(hole("data = ", "\n", multiline), text, 7, "file") is not None) == is_found
        assert (draft_at(hole("data = ", "\n", multiline), text[:-1], 7, "file") is not None) == is_found
    far = "data = " + "x" * 10 * N_CHARS_MAX + ")"
    assert draft_at(hole("data = ", ")", multiline), far, 7, "file") is None
    assert draft_at(hole("data = ", ")", multiline), "data = xx)" + far, 7, "file") == Draft("xx", "file", 7, 1)


@pytest.mark.parametrize("prefix", ["", "x", "   ", "\n\n\n", "no such thing"])
def test_nothing_agrees(prefix):
    assert find_drafts(hole(prefix, "")) == []


@given(st.text("ab(\n ", max_size=60), st.text("ab)\n ", max_size=40), st.booleans(), st.integers(1, 6))
def test_drafts_are_different_not_blank_and_stand_where_they_are_said_to(prefix, suffix, multiline, n_max):
    found = find_drafts(hole(prefix, suffix, multiline), n_max=n_max)
    assert len(found) <= n_max
    assert len(set(texts(found))) == len(found)
    for draft in found:
        assert draft.text.strip()
        assert multiline or "\n" not in draft.text
        if draft.n_changed:  # by analogy: with other names it stands nowhere
            continue
        agreeing = prefix[len(prefix) - draft.n_before :]
        assert agreeing + draft.text in prefix + "\n" or agreeing + draft.text in suffix
    assert [d.n_before + d.n_after for d in found] == sorted((d.n_before + d.n_after for d in found), reverse=True)
