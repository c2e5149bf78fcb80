import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.drafts import pool as draft_pool
from quicksilver.fim.drafts.pool import MAX_TEXT_CHARS, DraftPool
from quicksilver.fim.drafts.search import drafts_from_offers
from quicksilver.fim.text.line_breaks import with_lf
from quicksilver.fim.types import Hole, Offer, OfferSource

SHOP = "def shut(self):\n    self.doors.lock_all()\n    self.log.info('shut')\n"
BANK = "def shut(self):\n    self.doors.lock_vault()\n"


def hole(prefix: str, suffix: str = "\n", multiline: bool = False) -> Hole:
    return Hole(
        prefix=prefix, suffix=suffix, language="python", replaced=(len(prefix), len(prefix)), multiline=multiline
    )


HERE = hole("class House:\n    def shut(self):\n    self.doors.lo")


def pool_of(**texts: str) -> DraftPool:
    pool = DraftPool()
    for key, text in texts.items():
        pool.put(key, text, "workspace")
    assert pool.refresh()
    return pool


def texts(found):
    return [draft.text for draft in found]


def test_what_followed_the_same_characters_in_another_text():
    (found,) = pool_of(shop=SHOP).find(HERE)
    assert (found.text, found.source) == ("ck_all()", "workspace")
    assert found.n_before == len("def shut(self):\n    self.doors.lo")
    assert found.n_after == len("\n")


def test_the_document_itself_is_not_searched():
    pool = pool_of(shop=SHOP, bank=BANK)
    assert set(texts(pool.find(HERE))) == {"ck_all()", "ck_vault()"}
    assert texts(pool.find(HERE, skip="shop")) == ["ck_vault()"]
    assert pool_of(shop=SHOP).find(HERE, skip="shop") == []


def test_the_longest_match_comes_first_and_n_max_holds():
    near = hole("x\n    self.log.info('closed')\ndef shut(self):\n    self.doors.lo")
    pool = pool_of(bank=BANK, shop="    self.log.info('closed')\n" + SHOP, third="y.doors.lo" + "cal\n")
    assert texts(pool.find(near)) == ["ck_all()", "ck_vault()", "cal"]
    assert texts(pool.find(near, n_max=1)) == ["ck_all()"]


def test_of_equal_matches_an_open_files_comes_first_then_what_was_put_last():
    pool = DraftPool()
    sources: dict[str, OfferSource] = {"a": "workspace", "b": "open file", "c": "workspace"}
    for key, source in sources.items():
        pool.put(key, f"    self.doors.lock_{key}()\n", source)
    pool.refresh()
    assert [(d.text, d.source) for d in pool.find(HERE)] == [
        ("ck_b()", "open file"), ("ck_c()", "workspace"), ("ck_a()", "workspace"),
    ]  # fmt: skip


def test_a_changed_text_is_searched_as_it_was_until_it_is_refreshed():
    pool = pool_of(shop=SHOP)
    pool.put("shop", SHOP.replace("lock_all", "lock_none"), "open file")
    assert [(d.text, d.source) for d in pool.find(HERE)] == [("ck_all()", "open file")]
    assert pool.refresh()
    assert texts(pool.find(HERE)) == ["ck_none()"]


def test_refreshing_stops_after_so_many_characters_and_leaves_out_what_is_typed():
    pool = DraftPool()
    for key in "abc":
        pool.put(key, SHOP, "workspace")
    assert not pool.refresh(len(SHOP))
    assert not pool.refresh(1)
    assert pool.refresh(1, skip="c")
    assert pool.find(HERE, skip="a")
    assert not pool.refresh(0)
    assert pool.refresh()


def test_the_same_text_again_need_not_be_indexed_again():
    pool = pool_of(shop=SHOP)
    pool.put("shop", SHOP, "open file")
    assert pool.refresh(0)
    assert pool.find(HERE)[0].source == "open file"


def test_a_dropped_text_is_gone():
    pool = pool_of(shop=SHOP, bank=BANK)
    pool.drop("shop")
    pool.drop("never there")
    assert texts(pool.find(HERE)) == ["ck_vault()"]
    assert pool.n_chars == len(BANK)
    pool.put("new", SHOP, "workspace")
    pool.drop("new")
    assert pool.refresh()
    assert texts(pool.find(HERE)) == ["ck_vault()"]


def test_texts_and_holes_of_other_line_breaks():
    pool = pool_of(shop=SHOP.replace("\n", "\r\n"), bank=BANK.replace("\n", "\r"))
    ours = hole(HERE.prefix.replace("\n", "\r\n"), "\r\n", multiline=True)
    found = pool.find(ours)
    assert "ck_all()\n    self.log.info('shut')" in texts(found)
    assert not any("\r" in text for text in texts(found))
    assert {d.n_before for d in found} == {len("def shut(self):\n    self.doors.lo")}


def test_the_oldest_texts_of_the_workspace_make_room_then_open_files():
    pool = DraftPool(max_chars=25)
    pool.put("open", "o" * 10, "open file")
    pool.put("first", "f" * 10, "workspace")
    pool.put("second", "s" * 10, "workspace")
    assert pool.n_chars == 20  # without the first
    pool.put("third", "t" * 20, "open file")
    assert pool.n_chars == 20  # alone
    assert pool.refresh()
    assert [bool(pool.find(hole("x " + c * 8))) for c in "ofst"] == [False, False, False, True]


def test_long_lines_and_large_texts_cost_nothing():
    data = "x = [" + "'doors', " * 20_000 + "]\n"
    pool = pool_of(data=data, huge="self.doors.lock_huge()\n" + "#" * MAX_TEXT_CHARS)
    assert pool.n_chars == len(data)
    found = pool.find(hole("y = ['doors', 'do"))
    assert all(len(text) < 2100 for text in texts(found))
    assert texts(pool.find(HERE)) == []


def test_common_characters_alone_are_no_match():
    assert pool_of(shop="a = b\n").find(hole("c = ")) == []
    assert pool_of(shop="abc = b\n").find(hole("abc = ")) != []


def test_no_more_places_than_that_become_drafts(monkeypatch):
    asked = []
    monkeypatch.setattr(draft_pool, "draft_at", lambda hole, text, place, source: asked.append(place))
    pool = pool_of(**{f"t{i}": "self.doors.lock()\n" * 50 for i in range(30)})
    pool.find(HERE)
    assert 0 < len(asked) <= draft_pool.N_PLACES_MAX


def test_offers_are_drafts_from_other_files():
    found = pool_of(shop=SHOP).find(HERE)
    assert drafts_from_offers(found) == (
        Offer(text="ck_all()", source="workspace", n_before=found[0].n_before, n_after=found[0].n_after),
    )


lines = st.text("ab( \r\n", max_size=80)


@given(st.lists(lines, max_size=4), lines, lines, st.booleans(), st.integers(1, 6))
@pytest.mark.filterwarnings("error")
def test_drafts_are_different_not_blank_and_stand_where_they_are_said_to(others, prefix, suffix, multiline, n_max):
    pool = pool_of(**{f"t{i}": text for i, text in enumerate(others)})
    found = pool.find(hole(prefix, suffix, multiline), n_max, skip="t0")
    assert len(found) <= n_max
    assert len(set(texts(found))) == len(found)
    for draft in found:
        assert draft.text.strip()
        assert multiline or "\n" not in draft.text
        before = with_lf(prefix)
        agreeing = before[len(before) - draft.n_before :]
        assert any(agreeing + draft.text in with_lf(text) for text in others[1:])
    assert [d.n_before + d.n_after for d in found] == sorted((d.n_before + d.n_after for d in found), reverse=True)
