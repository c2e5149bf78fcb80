"""Guesses change no text of the published body: 500 holes, with and without them.

A forward over one token and one over several round differently in int8, so that of two tokens that are equally likely
one or the other may be written. Nothing else may differ.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from quicksilver.fim.types import Completion, CompletionRequest, Hole
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.recent import Recent
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.network.states import truncate
from quicksilver.model.requests import Extend, Extended, never
from quicksilver.model.runners.drive import drive

FOLDER = os.environ.get("QUICKSILVER_CODER_FOLDER")  # as `quicksilver fetch coder` leaves it
MODEL = Path(__file__).resolve().parents[2] / "model"
SOURCES = [path for path in sorted(MODEL.rglob("*.py")) if path.stat().st_size > 2_000]
N_HOLES = 500
N_DIFFERENT = 5  # at most
ROUNDING = 0.15  # nats between two tokens that count as equally likely


class Heard(Recent):
    """Keeps what was written last."""

    context: Sequence[int] = ()
    tokens: Sequence[int] = ()

    def add(self, context: Sequence[int], tokens: Sequence[int]) -> None:
        self.context, self.tokens = [*context], [*tokens]
        super().add(context, tokens)


def requests() -> list[CompletionRequest]:
    """Holes in this project's own files, half of them of several lines."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(N_HOLES):
        text = SOURCES[int(rng.integers(len(SOURCES)))].read_text(encoding="utf-8")
        at = int(rng.integers(200, len(text) - 200))
        end = min(len(text), at + int(rng.integers(1, 60)))
        prefix, suffix = text[max(0, at - 700) : at], text[end : end + 250]
        hole = Hole(
            prefix=prefix, suffix=suffix, language="python", replaced=(len(prefix), len(prefix)), multiline=bool(i % 2)
        )
        found.append(CompletionRequest(hole=hole, budget_ms=None, max_evaluations=10_000, max_tokens=32, drafts=4))
    return found


def written(infiller: DenoisingInfiller, request: CompletionRequest, *, guesses: bool) -> tuple[Completion, list[int]]:
    """The answer, and the tokens that the body wrote; with guesses perhaps some behind the answer's end."""
    infiller.recent, infiller.guesses = Heard(), guesses
    infiller.cache.clear()  # what was read in other parts is rounded otherwise
    found = infiller.complete(request, never)
    return found, [*infiller.recent.tokens]


def gap(infiller: DenoisingInfiller, request: CompletionRequest, tokens: Sequence[int], other: int) -> float:
    """How much likelier than other, in nats, the last of tokens is behind the ones before."""
    heard = infiller.recent
    assert isinstance(heard, Heard)
    states, _ = drive(infiller.run, infiller.cache.states([*heard.context, *tokens[:-1]]))
    last = int(states.tokens[0, -1])
    (reply,) = infiller.run([Extend((last,), truncate(states, states.n_tokens - 1))])
    assert isinstance(reply, Extended)
    log_probs = infiller.tokens_for(request.hole).allowed(reply.log_probs)[-1]
    return abs(float(log_probs[tokens[-1]] - log_probs[other]))


@pytest.mark.coder
@pytest.mark.slow
def test_guesses_change_no_text_of_500():
    if not FOLDER:
        pytest.skip("QUICKSILVER_CODER_FOLDER is not set")
    infiller = load_infiller(Path(FOLDER))
    assert infiller.checkpoint.ngrams is not None
    n_different, n_plain, n_guessed, n_tokens, gaps = 0, 0, 0, 0, []
    for request in requests():
        plain, own = written(infiller, request, guesses=False)
        guessed, others = written(infiller, request, guesses=True)
        n_plain, n_guessed, n_tokens = n_plain + plain.steps, n_guessed + guessed.steps, n_tokens + plain.n_tokens
        if plain.text == guessed.text:
            continue
        n_different += 1
        at = next((i for i, (a, b) in enumerate(zip(own, others, strict=False)) if a != b), None)
        assert at is not None, f"the same tokens became {plain.text!r} and {guessed.text!r}"
        gaps.append(gap(infiller, request, own[: at + 1], others[at]))
    print(
        f"{N_HOLES} holes, {n_tokens} tokens: {n_plain} forwards without guesses, {n_guessed} with; {n_different}", gaps
    )
    assert n_different <= N_DIFFERENT and all(each < ROUNDING for each in gaps)
    assert n_guessed < n_plain
