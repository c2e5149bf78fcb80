"""What became of shown texts: every text has one end, and every character is counted once."""

from hypothesis import given
from hypothesis import strategies as st
from quicksilver.lsp_server.outcomes import N_KEPT, Outcomes


def counted(outcomes):
    return {name: n for name, n in outcomes.counts.items() if n}


def test_shown_and_accepted_once():
    outcomes = Outcomes()
    outcomes.shown("a")
    outcomes.shown("a")
    outcomes.accepted("a", 7)
    outcomes.accepted("a", 7)
    outcomes.rejected("a")
    assert counted(outcomes) == {"shown": 1, "accepted": 1, "characters": 7}


def test_parts_are_told_in_all_and_counted_once():
    outcomes = Outcomes()
    for n_in_all in (3, 3, 5):
        outcomes.took("a", outcomes.n_new("a", "a", n_in_all))
    outcomes.took("a", outcomes.n_new("a", "rest", 2))
    outcomes.accepted("a", outcomes.n_new("a", "rest", 6))
    assert counted(outcomes) == {"shown": 1, "partially_accepted": 1, "accepted": 1, "characters": 11}


def test_what_seemed_rejected_may_have_been_accepted():
    outcomes = Outcomes()
    outcomes.rejected("a")
    outcomes.accepted("a", 4)
    assert counted(outcomes) == {"shown": 1, "accepted": 1, "characters": 4}


def test_a_text_of_which_a_part_was_taken_is_not_rejected():
    outcomes = Outcomes()
    outcomes.took("a", 2)
    outcomes.rejected("a")
    outcomes.took("a", 2)
    assert counted(outcomes) == {"shown": 1, "partially_accepted": 1, "characters": 2}


STEPS = st.lists(
    st.tuples(st.sampled_from(["shown", "took", "accepted", "rejected"]), st.sampled_from("abc")), max_size=30
)


@given(STEPS)
def test_no_text_ends_twice(steps):
    outcomes = Outcomes()
    for kind, name in steps:
        getattr(outcomes, kind)(*((name, 1) if kind in ("took", "accepted") else (name,)))
    counts = outcomes.counts
    assert counts["accepted"] + counts["rejected"] <= counts["shown"] == len({name for _, name in steps})
    assert min(counts.values()) >= 0


def test_old_texts_are_forgotten():
    outcomes = Outcomes()
    for i in range(3 * N_KEPT):
        outcomes.shown(str(i))
    assert len(outcomes._open) == N_KEPT
