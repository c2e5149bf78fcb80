"""Draws follow the distribution and the seed, whatever was guessed, cached or batched."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quicksilver.fim.types import CompletionRequest, Hole, Offer, Sampling
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.sampling import Sampler
from quicksilver.model.load_infiller import infiller_of, load_infiller
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer
from tiny_body import save_body, tiny_body

pytestmark = pytest.mark.slow

PROBABILITIES = np.array([0.05, 0.4, 0.0, 0.25, 0.2, 0.1])
N_DRAWS = 4_000
MOST = 18.5  # of chi-square with four degrees of freedom, once in a thousand
with np.errstate(divide="ignore"):
    LOG_PROBS = np.log(PROBABILITIES).astype(np.float32)


def drawn(**sampling) -> np.ndarray:
    """How often each token came in many draws, one for each place."""
    sampler = Sampler(Sampling(**{"temperature": 1.0, "seed": 7, **sampling}))
    found = sampler.draw(np.repeat(LOG_PROBS[None], N_DRAWS, axis=0), 0)
    return np.bincount(found, minlength=len(LOG_PROBS))


def sharpened(temperature: float) -> np.ndarray:
    shares = PROBABILITIES ** (1 / temperature)
    return shares / shares.sum()


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    expected = probabilities * counts.sum()
    is_possible = expected > 1
    return float(((counts - expected)[is_possible] ** 2 / expected[is_possible]).sum())


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_draws_follow_the_distribution(temperature: float):
    counts = drawn(temperature=temperature)
    assert counts[2] == 0
    assert chi_square(counts, sharpened(temperature)) < MOST


def test_draws_of_many_seeds_follow_the_distribution_too():
    found = [int(Sampler(Sampling(temperature=1.0, seed=i)).draw(LOG_PROBS[None], 3)[0]) for i in range(N_DRAWS // 4)]
    assert chi_square(np.bincount(found, minlength=len(LOG_PROBS)), PROBABILITIES) < MOST


@pytest.mark.parametrize(("top_p", "left"), [(0.3, {1}), (0.5, {1, 3}), (0.84, {1, 3, 4}), (0.94, {1, 3, 4, 5})])
def test_top_p_keeps_the_fewest_tokens_that_hold_it(top_p: float, left: set[int]):
    assert set(np.flatnonzero(drawn(top_p=top_p)).tolist()) == left


@pytest.mark.parametrize(
    ("top_k", "left"), [(1, {1}), (2, {1, 3}), (3, {1, 3, 4}), (99, {0, 1, 3, 4, 5}), (0, {0, 1, 3, 4, 5})]
)
def test_top_k_keeps_the_likeliest(top_k: int, left: set[int]):
    assert set(np.flatnonzero(drawn(top_k=top_k)).tolist()) == left


def test_top_p_of_a_large_vocabulary_is_exact(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    log_probs = rng.normal(size=(40, 3_000)).astype(np.float32)
    found = Sampler(Sampling(temperature=1.0, top_p=0.9, seed=1)).draw(log_probs, 0)
    monkeypatch.setattr("quicksilver.model.decoding.sampling.N_SORTED", 3_000)
    assert (Sampler(Sampling(temperature=1.0, top_p=0.9, seed=1)).draw(log_probs, 0) == found).all()


def test_a_place_is_drawn_once():
    rows = np.random.default_rng(0).normal(size=(9, 50)).astype(np.float32)
    sampling = Sampling(temperature=1.0, seed=5)
    whole = Sampler(sampling).draw(rows, 0)
    again = Sampler(sampling)
    assert [int(again.draw(rows[i : i + 1], i)[0]) for i in (8, 3, 3, 0, 5)] == whole[[8, 3, 3, 0, 5]].tolist()
    assert (Sampler(sampling).after(4)(rows[4:], 0) == whole[4:]).all()
    assert (Sampler(replace(sampling, seed=6)).draw(rows, 0) != whole).any()


@pytest.fixture(scope="module", params=["body", "canvases"])
def infiller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DenoisingInfiller:
    folder: Path = tmp_path_factory.mktemp("model")
    if request.param == "body":
        return infiller_of(checkpoint.load(save_body(folder, tiny_body(std=0.15))))
    tokenizer = tiny_tokenizer()
    checkpoint.save(folder / "c", "tiny", tiny_denoiser(tokenizer.vocab_size, seed=2), tokenizer)
    return load_infiller(folder / "c")


def asked(seed: int | None = 1, temperature: float = 1.0, *, drafts: Sequence[str] = (), **more) -> CompletionRequest:
    hole = Hole(
        prefix=TEXTS[0] + "def f(x):\n    ret", suffix="\nx = 1\n", language="python", replaced=(0, 0), multiline=True
    )
    sampling = Sampling(temperature=temperature, seed=seed)
    offers = tuple(Offer(text=text, source="workspace", n_before=9) for text in drafts)
    options = {"sampling": sampling, "max_evaluations": 300, "max_tokens": 24, "drafts": len(offers), **more}
    return CompletionRequest(hole=hole, budget_ms=None, offers=offers, **options)


def text_of(infiller: DenoisingInfiller, request: CompletionRequest) -> str:
    return infiller.complete(request, lambda: False).text


def test_a_seed_gives_the_same_text_whatever_was_guessed_or_cached(infiller: DenoisingInfiller):
    for seed in range(8):
        infiller.cache.clear()
        infiller.recent.clear()
        found = text_of(infiller, asked(seed))
        assert text_of(infiller, asked(seed)) == found
        text_of(infiller, asked(sampling=None))  # which is guessed from then on
        assert text_of(infiller, asked(seed)) == found
        assert text_of(infiller, asked(seed, drafts=[found, found[: len(found) // 2] + "x", "urn x"])) == found
        infiller.guesses = False
        assert text_of(infiller, asked(seed)) == found
        infiller.guesses = True


def test_a_seed_gives_the_same_text_beside_others(infiller: DenoisingInfiller):
    alone = [text_of(infiller, asked(seed)) for seed in range(4)]
    jobs = [infiller.begin(asked(seed), lambda: False) for seed in range(4)]
    while not all(job.has_ended for job in jobs):
        infiller.advance(jobs)
    assert [job.completion.text for job in jobs if job.completion] == alone


def test_other_seeds_give_other_texts(infiller: DenoisingInfiller):
    assert len({text_of(infiller, asked(seed, 2.0)) for seed in range(12)}) > 8
    assert len({text_of(infiller, asked(None, 2.0)) for _ in range(6)}) > 3


@pytest.mark.parametrize("policy", [None, "one", "verified"])
def test_without_heat_the_likeliest_is_drawn(infiller: DenoisingInfiller, policy: str | None):
    greedy = text_of(infiller, asked(sampling=None, streams=True, policy=policy))
    assert {text_of(infiller, asked(seed, 1e-4, policy=policy)) for seed in range(4)} == {greedy}
    assert text_of(infiller, asked(policy=policy, sampling=Sampling(temperature=1.5, top_k=1))) == greedy


def test_confidence_is_the_models_own_probability_of_what_was_drawn(infiller: DenoisingInfiller):
    completion = infiller.complete(asked(3, log_probs=True, max_tokens=3), lambda: False)
    assert 0 < completion.confidence < 0.5
    assert all(token.log_prob < 0 for token in completion.tokens)


def test_what_a_body_draws_first_follows_its_distribution(tmp_path: Path):
    """The first tokens of many seeds, with and without a guess, are drawn by what the body says."""
    infiller = infiller_of(checkpoint.load(save_body(tmp_path, tiny_body(std=0.4))))
    hole = Hole(prefix="x", suffix="", language="python", replaced=(0, 0), multiline=True)
    request = CompletionRequest(hole=hole, budget_ms=None, max_tokens=1, log_probs=True, drafts=0)
    chances: dict[tuple[str, ...], float] = {}  # by text and probability: several tokens have the same text
    counts: dict[tuple[str, ...], int] = {}
    for seed in range(600):
        found = infiller.complete(replace(request, sampling=Sampling(temperature=1.0, seed=seed)), lambda: False)
        key = (found.text, *(f"{token.log_prob:.5f}" for token in found.tokens))
        counts[key] = counts.get(key, 0) + 1
        chances[key] = float(np.exp(sum(token.log_prob for token in found.tokens)))
    likely = [key for key in counts if chances[key] * 600 > 8 and key[0]]
    assert len(likely) > 3
    for key in likely:
        expected = chances[key] * 600
        assert abs(counts[key] - expected) < 5 * expected**0.5


def test_what_was_drawn_is_not_remembered_as_a_guess(infiller: DenoisingInfiller):
    infiller.recent.clear()
    text_of(infiller, asked(1))
    assert not infiller.recent._texts
