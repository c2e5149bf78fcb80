"""Timing a loaded model, and contexts that are sized by it, on tiny weights."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.fim.hole import find_hole
from quicksilver.fim.models.speeds import ModelSpeed
from quicksilver.fim.text.document import Document
from quicksilver.fim.types import CompletionRequest
from quicksilver.model.checkpoint.checkpoint import save
from quicksilver.model.checkpoint.checkpoint_files import WEIGHTS
from quicksilver.model.choice import speed as speed_module
from quicksilver.model.choice.speed import measure_speed, window
from quicksilver.model.completion.infiller import N_BYTES, DenoisingInfiller
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.network.denoiser import Denoiser
from tiny import tiny_denoiser, tiny_tokenizer
from tiny_body import body_config, save_body, tiny_body

SPEED = ModelSpeed(model="m", device="cpu", key_ms=1, token_ms=1, resident_mb=1, measured_s=0)


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> DenoisingInfiller:
    torch.manual_seed(0)
    model = Denoiser(replace(body_config(), n_context=32_768)).eval()
    return load_infiller(save_body(tmp_path_factory.mktemp("body"), model), runtime="torch", n_threads=1)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what is in memory")
def test_weights_are_in_memory_once(tmp_path):
    """OpenVINO packs them its own way; the file's pages are given back."""
    folder = save_body(tmp_path, Denoiser(replace(body_config(), ffn_width=4096)))
    infiller = load_infiller(folder, runtime="openvino", n_threads=1)
    maps = Path("/proc/self/smaps").read_text().split(str(folder / WEIGHTS), 1)[1]
    resident_kb = int(next(line for line in maps.splitlines() if line.startswith("Rss:")).split()[1])
    assert 1024 * resident_kb < (folder / WEIGHTS).stat().st_size / 2
    assert measure_speed(infiller).key_ms > 0


def test_a_body_is_measured_and_its_cache_stays_as_it_was(body, monkeypatch):
    asked = []
    run = body.run
    monkeypatch.setattr(body, "run", lambda asks: asked.extend(asks) or run(asks))
    found = measure_speed(body)
    assert (found.model, found.device) == ("tiny-body", "cpu")
    assert (
        found.key_ms > 0 and found.token_ms > 0 and found.resident_mb > 10 and abs(found.measured_s - time.time()) < 60
    )
    kinds = [
        (type(ask).__name__, ask.tokens.shape[1] if type(ask).__name__ == "Context" else len(ask.tokens))
        for ask in asked
    ]
    assert kinds[:2] == [("Context", 256), ("Context", 256)]
    assert kinds[2:5] == [("Extend", 8), ("Extend", 1), ("Extend", 1)] and kinds[2:5] * 4 == kinds[2:]
    assert body.cache.store.n_bytes == 0


def test_a_denoiser_is_measured_on_a_canvas(tmp_path):
    tokenizer = tiny_tokenizer()
    save(tmp_path / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    infiller = load_infiller(tmp_path / "c", runtime="torch", n_threads=1)
    found = measure_speed(infiller)
    assert found.model == "tiny" and found.key_ms > 0


def test_a_busy_machine_gets_another_round(body, monkeypatch):
    times = iter([900.0, 700.0, 800.0, 90.0, 100.0, 500.0])
    monkeypatch.setattr(speed_module, "_ms", lambda call: next(times))
    assert measure_speed(body).key_ms == 100
    times = iter([900.0, 100.0, 110.0])
    assert measure_speed(body).key_ms == 110


@pytest.mark.parametrize(
    ("token_ms", "device", "n_tokens"),
    [
        (1.6, "cpu", 576), (0.1, "cpu", 1024), (100.0, "cpu", 384), (0.0, "cpu", 1024),
        (0.1, "cuda", 9984), (0.001, "cuda", 32_768), (100.0, "cuda", 384),
    ],
)  # fmt: skip
def test_a_window_holds_what_is_read_in_a_second(token_ms, device, n_tokens):
    config = replace(body_config(), n_context=32_768)
    speed = replace(SPEED, token_ms=token_ms, device=device)
    assert window(config, speed) == n_tokens
    assert window(replace(config, n_context=300), speed) == 300
    if device == "cuda" and token_ms == 0.001:
        assert window(replace(config, rope_scale=4.0), speed) == 131_072


def test_a_window_has_bounds_and_its_cache_holds_two_of_it(body, tmp_path, monkeypatch):
    infiller = load_infiller(save_body(tmp_path, tiny_body()), runtime="torch", n_threads=1)
    for n in (0, 63, 513):
        with pytest.raises(InputError, match="reads from 64 to 512 tokens of context"):
            infiller.read_at_most(n)
    infiller.read_at_most(400)
    assert infiller.describe()["context_tokens"] == infiller.n_context_max == 400 - 96
    monkeypatch.setattr("quicksilver.model.completion.infiller.MAX_BYTES", 1000)
    body.read_at_most(32_768)
    bytes_per_token = 2 * 2 * 2 * 12 * N_BYTES[body.loaded.dtype]  # keys and values, layers, heads, numbers
    assert body.cache.store.max_bytes == 2 * 32_768 * bytes_per_token


def test_contexts_are_not_stretched_on_a_cpu(tmp_path):
    folder = save_body(tmp_path, tiny_body())
    with pytest.raises(InputError, match="leave --yarn out"):
        load_infiller(folder, runtime="torch", n_threads=1, device="cpu", rope_scale=4.0)


def test_a_file_of_30000_tokens_is_cut_to_the_window_and_the_next_key_is_read_alone(body):
    """Nothing that grows with the square of the file: it takes .1 s; the bound is for a machine under load."""
    body.read_at_most(1024)
    half = "".join(f"def name_{i}(first, second):\n    return first + {i} * second\n\n" for i in range(500))
    text = f"{half}value = {half}"
    assert len(body.tokenizer.encode(text)) > 30_000
    start_s = time.monotonic()
    found = []
    for typed in ("", "n", "na"):
        document = Document(uri="file:///a.py", version=1, language="python", text=f"{half}value = {typed}\n{half}")
        request = CompletionRequest(hole=find_hole(document, len(half) + 8 + len(typed)), path="a.py", max_tokens=4)
        found.append(body.complete(replace(request, budget_ms=None), lambda: False))
    assert time.monotonic() - start_s < 20
    assert all(512 < each.n_context <= 1024 - 96 for each in found)
    assert all(each.n_context - each.n_cached < 16 for each in found[1:])
