"""The parts of bench peers, scaling and soak that can be right or wrong; their times are nobody's to assert."""

from collections import Counter

import pytest
import torch
from quicksilver.benchmarks import bench as command
from quicksilver.benchmarks.robustness import soak
from quicksilver.benchmarks.speed.peers import compare
from quicksilver.benchmarks.speed.scaling import ScalingPlan, exponent, measure_contexts
from quicksilver.benchmarks.speed.shapes import random_denoiser, write_random
from quicksilver.benchmarks.speed.sides import DiffusionSide, Peer, TransformersSide, UncachedSide
from quicksilver.fim.errors import InputError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.requests import Context, Rows
from quicksilver.model.runners.batching import ModelRunner
from tiny import tiny_config

SHAPE = tiny_config(1200)


class Counting(ModelRunner):
    def __call__(self, asks):
        counted.append(sum(ask.tokens.size for ask in asks if isinstance(ask, Rows | Context)))
        return super().__call__(asks)


counted: list[int] = []


def diffusion(n_steps: int) -> DiffusionSide:
    model = random_denoiser(SHAPE)
    return DiffusionSide(model, Counting(model), n_steps, 1)


@pytest.mark.parametrize(("n_tokens", "n_steps", "n_forwards"), [(8, 4, 4), (8, 2, 2), (5, 2, 2), (20, 4, 12)])
def test_our_side_takes_the_steps_it_says(n_tokens, n_steps, n_forwards):
    """20 tokens are canvases of 8, 8 and 4."""
    assert diffusion(n_steps).complete(list(range(1, 40)), n_tokens) == n_forwards


def test_a_warm_side_reads_one_token():
    side = diffusion(2)
    side.ready(list(range(1, 40)))
    counted.clear()
    side.complete([*range(1, 40), 7], 8)
    assert counted == [1, 8, 8]
    side.forget()
    counted.clear()
    side.complete([*range(1, 40), 7], 8)
    assert counted == [40, 8, 8]


def test_uncached_diffusion_runs_everything_at_every_step():
    assert UncachedSide(random_denoiser(SHAPE), 4, 1).complete(list(range(1, 40)), 8) == 4


def test_rows_of_a_comparison():
    sides: list[Peer] = [diffusion(2), UncachedSide(random_denoiser(SHAPE), 2, 1)]
    rows = compare(sides, 30, 8, 2, is_warm=True)
    assert [row["forwards"] for row in rows] == [2, 2]
    assert rows[0]["ratio"] == 1.0
    assert all(row["cache"] == "warm" and row["median_ms"] >= row["min_ms"] > 0 for row in rows)


def test_a_peer_of_the_same_shape():
    pytest.importorskip("transformers")
    side = TransformersSide(SHAPE, torch.float32, 1, is_static=False)
    assert side.complete(list(range(1, 30)), 3) == 3


def test_a_peer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match="pip install transformers"):
        TransformersSide(SHAPE, torch.float32, 1, is_static=False)


def test_random_checkpoints_load(tmp_path):
    loaded = checkpoint.load(write_random(tmp_path, "nano"))
    assert loaded.name == "random-nano"
    assert loaded.model.config.width == 256
    assert loaded.tokenizer.vocab_size == loaded.model.config.vocab_size == 8192


def test_exponents():
    rows = [{"tokens": n, "ms": 3.0 * n**2} for n in (10, 100, 1000)]
    assert exponent(rows, "tokens", "ms") == 2.0
    assert exponent(rows[:1], "tokens", "ms") is None


def test_each_length_goes_on_from_the_shorter_one():
    counted.clear()
    plan = ScalingPlan(contexts=(20, 10), canvases=(4,), n_rounds=2)
    rows = measure_contexts(Counting(random_denoiser(SHAPE)), plan)
    assert [row["tokens"] for row in rows] == [10, 20]
    assert counted == [10, 1, 1, 1, 32, 32, 32, 10, 1, 1, 1, 32, 32, 32]


def test_the_trend_of_memory():
    flat, growing = soak.trend([100.0, *[300.0] * 40]), soak.trend([100.0, *map(float, range(300, 340))])
    assert flat == {"warm": 300.0, "end": 300.0, "most": 300.0, "growth": 0.0}
    assert growing["growth"] > 25


def test_soak_asks_one_key_after_the_other():
    requests = soak._requests()
    first, second = requests[0].hole.prefix, requests[1].hole.prefix
    assert second.startswith(first) and len(second) == len(first) + 1
    assert {request.drafts for request in requests} == {0, soak.N_DRAFTS}


def test_answers_that_differ_are_found():
    request = soak._requests()[0]
    life = soak.Soak(answers={request: Counter({"certainly not this": 2})})
    plan = soak.SoakPlan(runtime="torch", dtype="float32")
    (row,) = soak.differences(life, plan)
    assert (row["got"], row["times"]) == ("certainly not this", 2)
    life.answers[request] = Counter({row["expected"]: 5})
    assert soak.differences(life, plan) == []


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["peers", "--tokens", "0"], "--tokens must be numbers"),
        (["peers", "--context", "5"], "--context must be from 16"),
        (["scaling", "--contexts", "many"], "--contexts must be numbers"),
        (["soak", "--requests", "0"], "--requests must be at least 1"),
        (["latency", "--steps", "0"], "--steps must be"),
        (["latency", "--shape", "base", "--model", "/"], "name one of them"),
        (["latency", "--model", "/nowhere/at/all"], "there is no checkpoint folder"),
    ],
)
def test_bad_options(argv, says):
    with pytest.raises(InputError, match=says):
        command.main(argv)
