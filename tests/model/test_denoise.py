import math
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.budget import Budget
from quicksilver.model.decoding.denoise import denoise
from quicksilver.model.decoding.partial_answer import PartialAnswer, grow
from quicksilver.model.decoding.policies import entropy_budget, everything, left, one, threshold, top_k
from quicksilver.model.runners.drive import drive
from tiny import END, MASK, VOCAB, Oracle, no_context, oracle_tokens

TOKENS = oracle_tokens()
POLICIES = [one, left, top_k(2), threshold(0.6), entropy_budget(1.0), everything]
ANSWERS = st.lists(st.tuples(st.integers(0, 80), st.floats(0.05, 0.99)), min_size=1, max_size=10)


class Ending(Oracle):
    """An oracle whose text ends with a probability of its own at every place where no text stands right of it.

    Behind other masks it has ended by there more likely than just there.
    """

    def __init__(self, answer, sure, ends):
        super().__init__(answer, sure, VOCAB)
        self.ends = ends

    def log_probs(self, ask):
        log_probs = super().log_probs(ask).copy()
        for row, canvas in zip(log_probs, ask.tokens.tolist(), strict=True):
            goes_on = 1.0
            for i, end in enumerate(self.ends[: len(canvas)]):
                goes_on = (goes_on if i and canvas[i - 1] == MASK else 1.0) * (1 - end)
                is_last = all(token in (MASK, END) for token in canvas[i + 1 :])
                row[i, END] = math.log(1 - goes_on if is_last else 1e-9)
        return log_probs


def run(answer, sure, canvas=None, policy=one, budget=None, **more):
    model = Oracle(answer, sure, VOCAB)
    canvas = np.full((1, len(answer)), MASK) if canvas is None else canvas
    return model, drive(model, denoise(no_context(), canvas, TOKENS, policy, budget or Budget(), **more))


@settings(deadline=None)
@given(ANSWERS, st.sampled_from(POLICIES), st.data())
def test_given_tokens_never_change_and_masks_take_the_answer(cells, policy, data):
    answer, sure = [a for a, _ in cells], [s for _, s in cells]
    given_at = data.draw(st.lists(st.booleans(), min_size=len(answer), max_size=len(answer)))
    canvas = np.array([[85 if g else MASK for g in given_at]])
    _, result = run(answer, sure, canvas, policy)
    assert result.canvas.tolist() == [[85 if g else a for g, a in zip(given_at, answer, strict=True)]]
    assert result.ended == "filled"
    assert result.steps <= sum(not g for g in given_at)


@settings(deadline=None)
@given(ANSWERS, st.sampled_from(POLICIES))
def test_each_step_commits_at_least_one(cells, policy):
    answer, sure = [a for a, _ in cells], [s for _, s in cells]
    open_counts = [len(answer)]
    run(answer, sure, policy=policy, on_step=lambda s: open_counts.append(int((s.canvas == MASK).sum())))
    assert all(after < before for before, after in pairwise(open_counts))
    assert open_counts[-1] == 0


def test_steps_by_policy():
    answer, sure = [1, 2, 3, 4, 5, 6], [0.9, 0.9, 0.2, 0.9, 0.2, 0.9]
    steps = {p: run(answer, sure, policy=policy)[1].steps for p, policy in enumerate(POLICIES)}
    assert steps == {0: 6, 1: 6, 2: 3, 3: 3, 4: 4, 5: 1}  # at .9 the entropy is .79 nats


def test_the_surest_position_goes_first():
    order = []
    run([1, 2, 3], [0.2, 0.9, 0.5], on_step=lambda s: order.append(s.committed[0].tolist().index(True)))
    assert order == [1, 2, 0]


def test_only_the_first_predicted_end_competes():
    """Ends on the right are always easy; taken first they would settle the length before the text is known."""
    order = []
    answer, sure = [7, 8, END, END, END, END], [0.5, 0.6, 0.4, 0.99, 0.99, 0.99]
    _, result = run(answer, sure, on_step=lambda s: order.append(s.committed[0].tolist().index(True)))
    assert order == [1, 0, 2]
    assert result.steps == 3
    assert result.canvas.tolist() == [[7, 8, END, END, END, END]]


def test_an_end_waits_for_what_stands_left_of_it_and_nothing_goes_before_it():
    order = []
    answer, sure = [7, 8, END, 9, 9], [0.2, 0.3, 0.9, 0.8, 0.7]
    _, result = run(answer, sure, on_step=lambda s: order.append(s.committed[0].tolist().index(True)))
    assert order == [1, 0, 2]
    assert result.canvas.tolist() == [[7, 8, END, END, END]]


def test_everything_right_of_an_end_becomes_end():
    _, result = run([7, END, 9, 9], [0.1, 0.9, 0.2, 0.2])
    assert result.canvas.tolist() == [[7, END, END, END]]
    assert result.log_probs[0, 2:].tolist() == [0.0, 0.0]


def test_log_probability_of_the_text():
    _, result = run([1, 2, END], [0.5, 0.25, 0.8])
    assert float(np.exp(result.log_probs.sum())) == pytest.approx(0.5 * 0.25 * 0.8, rel=1e-5)


def test_forbidden_tokens_are_never_predicted():
    _, result = run([MASK, 5], [0.9, 0.9])
    assert MASK not in result.canvas[0].tolist()


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_spent_budget_returns_what_there_is(cap):
    model, result = run([1, 2, 3, 4, 5], [0.5] * 5, budget=Budget(max_evaluations=cap))
    assert result.ended == "budget"
    assert result.steps == cap == len(model.seen)
    assert result.canvas.tolist() == [[1, 2, 3, 4, 5]]


def test_the_last_evaluation_may_be_enough():
    assert run([1, 2], [0.5] * 2, budget=Budget(max_evaluations=2))[1].ended == "filled"


def test_a_deadline_in_the_past_runs_nothing():
    model, result = run([1, 2], [0.5] * 2, budget=Budget(deadline_s=time.monotonic() - 1))
    assert (result.ended, result.steps, model.seen) == ("budget", 0, [])
    assert result.canvas.tolist() == [[MASK, MASK]]


def test_a_deadline_is_kept_to_within_a_step():
    class Slow(Oracle):
        def log_probs(self, ask):
            time.sleep(0.05)
            return super().log_probs(ask)

    start = time.monotonic()
    model = Slow([1] * 40, [0.5] * 40, VOCAB)
    canvas = np.full((1, 40), MASK)
    result = drive(model, denoise(no_context(), canvas, TOKENS, one, Budget.of(200)))
    assert result.ended == "budget"
    assert MASK not in result.canvas[0].tolist()
    assert result.steps < 8
    assert time.monotonic() - start < 1.0


def test_cancelled_before_the_next_step():
    flags = iter([False, False, True])
    model, result = run([1] * 9, [0.5] * 9, is_cancelled=lambda: next(flags))
    assert (result.ended, result.steps, len(model.seen)) == ("cancelled", 2, 2)


def test_rows_are_independent():
    model = Oracle([1, 2, END, END], [0.9, 0.2, 0.8, 0.9], VOCAB)
    canvas = np.array([[MASK] * 4, [MASK, 55, MASK, MASK]])
    both = drive(model, denoise(no_context(), canvas, TOKENS, one, Budget()))
    for row in range(2):
        alone = drive(model, denoise(no_context(), canvas[row : row + 1], TOKENS, one, Budget()))
        assert alone.canvas.tolist() == both.canvas[row : row + 1].tolist()


ANYWHERE = replace(TOKENS, may_end_before=np.ones(VOCAB, dtype=np.bool_))


@pytest.mark.parametrize("policy", [one, threshold(0.6)])
def test_a_text_stops_where_no_going_on_could_be_likelier(policy):
    """Ending after two has .9 · .85 · .3 = .23; after the fourth token .02 is left for all that could follow."""
    model = Ending([1, 2, 3, 4, 5, 6], [0.9, 0.85, 0.32, 0.1, 0.09, 0.08], [0.01, 0.01, 0.3, 0.05, 0.05, 0.05])
    canvas = np.full((1, 6), MASK)
    result = drive(model, denoise(no_context(), canvas, ANYWHERE, policy, Budget()))
    assert result.ended == "filled"
    row = grow(PartialAnswer(), result.canvas[0], result.log_probs[0], result.stop_log_probs[0], ANYWHERE)
    row.cut()
    assert row.tokens == [1, 2]
    assert math.exp(row.log_prob) == pytest.approx(0.9 * 0.85 * 0.3, rel=1e-4)
    assert result.steps <= 4
    unmoved = drive(model, denoise(no_context(), canvas, TOKENS, policy, Budget()))
    assert unmoved.canvas.tolist() == [[1, 2, 3, 4, 5, 6]]


def test_what_stands_before_a_canvas_counts_too():
    """A better end before this canvas: one step shows that nothing in it can win."""
    before = PartialAnswer()
    before.add([7, 8], [math.log(0.9), math.log(0.1)], [math.log(0.1), math.log(0.5)], [True, True])
    model = Ending([1, 2, 3, 4], [0.9] * 4, [0.01] * 4)
    result = drive(model, denoise(no_context(), np.full((1, 4), MASK), ANYWHERE, one, Budget(), rows=[before]))
    assert result.steps == 1
    assert len(before.tokens) == 2


def test_ends_are_only_looked_for_where_tokens_give_way():
    tokens = replace(TOKENS, may_end_before=np.arange(VOCAB) == 4)
    model = Ending([1, 2, 3, 4, 5], [0.5] * 5, [0.4] * 5)
    result = drive(model, denoise(no_context(), np.full((1, 5), MASK), tokens, everything, Budget()))
    row = grow(PartialAnswer(), result.canvas[0], result.log_probs[0], result.stop_log_probs[0], tokens)
    row.cut()
    assert row.tokens == [1, 2, 3]


def test_an_end_is_not_read_off_where_text_stands_right_of_it():
    """The surest place comes first; after that the places left of it know that they are no end."""
    model = Ending([1, 2, 3], [0.5, 0.9, 0.5], [0.4, 0.05, 0.4])
    result = drive(model, denoise(no_context(), np.full((1, 3), MASK), TOKENS, one, Budget()))
    assert np.exp(result.stop_log_probs[0]).tolist() == pytest.approx([0.4, 0.05, 0.4], rel=1e-4)
