"""Runs of deletions, and a pause that follows a person's speed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.typing_rhythm import LONGEST_INTERVAL_S, N_INTERVALS, Rhythm

edits = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 2)), max_size=60)


def rhythm_of(*intervals_s: float) -> Rhythm:
    rhythm, at_s = Rhythm().after(1, 0, 0.0), 0.0
    for interval_s in intervals_s:
        at_s += interval_s
        rhythm = rhythm.after(1, 0, at_s)
    return rhythm


@pytest.mark.parametrize(
    ("edits", "in_burst"),
    [
        ([], False),
        ([(0, 1)], False),
        ([(0, 1), (0, 1)], True),
        ([(0, 40), (0, 1)], True),
        ([(0, 1), (0, 1), (1, 0)], False),
        ([(0, 1), (0, 1), (1, 0), (0, 1)], False),
        ([(0, 1), (1, 1), (0, 1)], False),  # a replacement inserts
        ([(0, 1), (0, 0), (0, 1)], True),  # nothing happened in between
    ],
)
def test_deletions_in_a_row(edits: list[tuple[int, int]], in_burst: bool) -> None:
    rhythm = Rhythm()
    for i, (n_inserted, n_deleted) in enumerate(edits):
        rhythm = rhythm.after(n_inserted, n_deleted, float(i))
    assert rhythm.in_deletion_burst is in_burst


@pytest.mark.parametrize(
    ("intervals_s", "pause_ms"),
    [
        ((), 20.0),
        ((0.1, 0.1, 0.1), 20.0),  # too few
        ((0.1, 0.1, 0.1, 0.1), 100.0),
        ((0.05, 0.1, 0.2, 0.4), 100.0),  # the first quarter of them is shorter
        ((0.01, 0.01, 0.01, 0.01), 20.0),
        ((0.9, 0.9, 0.9, 0.9), 150.0),
        ((0.1, 0.1, 0.1, 1.5), 20.0),  # a thought is no interval
    ],
)
def test_the_pause(intervals_s: tuple[float, ...], pause_ms: float) -> None:
    assert rhythm_of(*intervals_s).pause_ms(20.0, 150.0) == pytest.approx(pause_ms)


def test_old_keys_are_forgotten() -> None:
    assert rhythm_of(*[0.5] * 50, *[0.05] * N_INTERVALS).pause_ms(0.0, 1e9) == pytest.approx(50.0)


def test_only_single_keys_tell_the_speed() -> None:
    rhythm = rhythm_of(0.1, 0.1, 0.1)
    assert rhythm.after(30, 0, 0.31).intervals_s == rhythm.intervals_s
    assert rhythm.after(0, 0, 0.31) == rhythm


@given(edits, st.floats(0, 50), st.floats(50, 300))
def test_whatever_is_typed(changes: list[tuple[int, int, float]], least_ms: float, most_ms: float) -> None:
    rhythm, at_s = Rhythm(), 0.0
    for n_inserted, n_deleted, interval_s in changes:
        at_s += interval_s
        before, rhythm = rhythm, rhythm.after(n_inserted, n_deleted, at_s)
        assert n_inserted == 0 or not rhythm.in_deletion_burst
        assert before.last_s is None or rhythm.last_s is not None
    assert len(rhythm.intervals_s) <= N_INTERVALS
    assert all(0 < interval_s <= LONGEST_INTERVAL_S for interval_s in rhythm.intervals_s)
    assert least_ms <= rhythm.pause_ms(least_ms, most_ms) <= most_ms
