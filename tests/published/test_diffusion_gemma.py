"""DiffusionGemma: the answer is what `generate` of transformers comes to, ended where a completion ends."""

import importlib
import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_files import replaced
from quicksilver.fim.budget import Budget
from quicksilver.fim.errors import CheckpointError, EngineError, InputError
from quicksilver.fim.types import CompletionRequest, FinishReason, Hole
from quicksilver.model.load import LoadPlan, kind_of, load_folder
from quicksilver.model.published.diffusion_gemma import (
    N_SETTLED,
    N_UNSETTLED,
    SEED,
    GemmaInfiller,
    _Enough,
    _Watch,
    load_gemma,
)
from quicksilver.model.requests import never
from safetensors.torch import load_file, save_file
from tiny_checkpoints import GEMMA_SPECIALS, write_diffusion_gemma

N_STEPS = 6  # rounding errors grow with every random draw
PREFIX = "def area(width, height):\n    return "
HOLE = Hole(
    prefix=PREFIX,
    suffix="\n\nprint(area(2, 3))\n",
    language="python",
    replaced=(len(PREFIX), len(PREFIX)),
    multiline=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gemma"
    write_diffusion_gemma(folder)
    return folder


@pytest.fixture
def infiller(folder: Path) -> GemmaInfiller:
    return load_gemma(folder, dtype=torch.float32)


def request(hole: Hole = HOLE, **more: Any) -> CompletionRequest:
    return CompletionRequest(hole=hole, budget_ms=None, **more)


def text_alone(infiller: GemmaInfiller) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Written anew: only text and ends may be drawn."""
    n_text = infiller.tokenizer.n_ids - len(GEMMA_SPECIALS)
    allowed = [*range(n_text), *(infiller.tokenizer.added[text] for text in ("<eos>", "<turn|>"))]

    def processed(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept = torch.full_like(scores, float("-inf"))
        kept[..., allowed] = scores[..., allowed]
        return kept

    return processed


def test_families_diffusion_gemma_is_generate(infiller: GemmaInfiller):
    """Token for token what the class itself comes to, from the same random canvas, by the folder's own settings."""
    infiller.model.generation_config.max_denoising_steps = N_STEPS
    prompt = infiller.prompt(HOLE)
    library = importlib.import_module("transformers")
    torch.manual_seed(SEED)
    whole = infiller.model.generate(
        torch.tensor([prompt]),
        logits_processor=library.LogitsProcessorList([text_alone(infiller)]),
        max_new_tokens=infiller.n_canvas,
    )
    new = whole.sequences[0, len(prompt) :].tolist()
    ends = {infiller.tokenizer.added[text] for text in ("<eos>", "<turn|>")}
    n = next((i for i, token in enumerate(new) if token in ends), len(new))
    completion = infiller.complete(request(), never)
    assert completion.text == infiller.tokenizer.decode(new[:n], prompt).partition("\n```")[0] != ""
    assert completion.n_tokens == n and completion.finish_reason in ("stop", "length")
    assert completion.steps == N_STEPS == round(infiller.n_canvas / float(whole.tokens_per_forward))


def test_the_same_question_gets_the_same_answer(infiller: GemmaInfiller):
    state = torch.random.get_rng_state()
    first = infiller.complete(request(), never)
    assert infiller.complete(request(), never).text == first.text
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_was_read_before_a_key_is_not_read_again(folder: Path, infiller: GemmaInfiller):
    typed = replace(HOLE, prefix=HOLE.prefix + "width * height")
    assert infiller.complete(request(), never).n_cached == 0
    again = infiller.complete(request(typed), never)
    n_settled = (len(infiller.prompt(HOLE)) - N_UNSETTLED) // N_SETTLED * N_SETTLED
    assert again.n_cached == n_settled > 0
    assert infiller.complete(request(), never).n_cached == n_settled  # and what was typed may go again
    fresh = load_gemma(folder, dtype=torch.float32)
    first, same = (each.complete(request(typed, max_evaluations=1), never) for each in (fresh, infiller))
    assert (same.text, same.n_cached > 0) == (first.text, True)
    assert same.confidence == pytest.approx(first.confidence, rel=1e-3, abs=0)
    other = replace(HOLE, suffix="\nother = 1\n" * 9)
    assert infiller.complete(request(other), never).n_cached == 0  # other text: nothing is carried over


def test_a_warm_request_reads_and_says_nothing(infiller: GemmaInfiller):
    warm = infiller.complete(request(warms=True), never)
    assert (warm.text, warm.steps, warm.finish_reason) == ("", 0, "stop")
    typed = replace(HOLE, prefix=HOLE.prefix + "width")
    assert infiller.complete(request(typed), never).n_cached > 0


def test_a_cancelled_request_ends_at_the_next_step(infiller: GemmaInfiller):
    n_asked = 0

    def is_cancelled() -> bool:
        nonlocal n_asked
        n_asked += 1
        return n_asked > 3

    completion = infiller.complete(request(), is_cancelled)
    assert (completion.finish_reason, completion.steps) == ("cancelled", 2)
    assert infiller.complete(request(), lambda: True).finish_reason == "cancelled"
    assert infiller.complete(request(), never).text  # and the next one is as ever


def test_budgets(infiller: GemmaInfiller):
    completion = infiller.complete(request(max_evaluations=3), never)
    assert (completion.finish_reason, completion.steps) == ("budget", 3)
    assert completion.n_tokens > 0
    at_once = infiller.complete(replace(request(), budget_ms=0.0), never)
    assert (at_once.finish_reason, at_once.steps) == ("budget", 1)
    assert infiller.complete(request(max_tokens=4), never).n_tokens <= 4


def test_a_line_stays_a_line(infiller: GemmaInfiller):
    completion = infiller.complete(request(replace(HOLE, multiline=False)), never)
    assert "\n" not in completion.text


def watch(*, in_line: bool) -> _Watch:
    stops = torch.tensor([False, False, False, True])
    return _Watch(torch.tensor([True, False, False, False]), stops, Budget(), never, 3, in_line=in_line)


@pytest.mark.parametrize("in_line", [True, False])
def test_a_line_that_is_sure_and_stays_ends_the_work(in_line: bool):
    """Whatever comes behind it; a block goes on, and so does a line that is not sure."""
    sure = torch.tensor([[[9.0, 30, 0, 0], [9.0, 0, 0, 30], [9.0, 1, 0, 0]]])
    seen = watch(in_line=in_line)
    seen(torch.empty(0), sure)
    seen(torch.empty(0), sure / 100)
    if in_line:
        with pytest.raises(_Enough):
            seen(torch.empty(0), sure)
    else:
        seen(torch.empty(0), sure)
    assert (seen.tokens, seen.reason, seen.n_steps) == ([1, 3], "stop", 3)
    assert seen.log_probs == pytest.approx([0, 0], abs=1e-6)


def test_broken_numbers_are_an_error():
    for broken in (float("nan"), float("inf")):
        with pytest.raises(EngineError, match="NaN"):
            watch(in_line=False)(torch.empty(0), torch.full((1, 3, 4), broken))


def test_what_is_no_text_is_never_written():
    scores = watch(in_line=False)(torch.empty(0), torch.ones(1, 3, 4))
    assert scores[..., 0].isneginf().all() and (scores[..., 1:] == 1).all()


def test_line_breaks_and_indents_are_text_though_they_are_added(infiller: GemmaInfiller):
    (line_break,) = infiller.tokenizer.encode("\n")
    assert infiller.tokenizer.added["\n"] == line_break
    assert not infiller._forbidden[line_break] and infiller._stops[False][line_break]
    for text in ("<|image|>", "<bos>", "<|turn>"):
        assert infiller._forbidden[infiller.tokenizer.added[text]]
    for text in ("<eos>", "<turn|>"):
        assert infiller._stops[True][infiller.tokenizer.added[text]]


@pytest.mark.parametrize(
    ("prefix", "written", "multiline", "text"),
    [
        ("x = ", "1\n```\n\nThat is one.", True, "1"),
        ("def f():\n    return 1\n", "```\n\nThat returns one.", True, ""),
        ("def f():\n    return 1\n", "```", False, ""),
        ("", "```", True, ""),
        ("x = ", "1\ny = 2", False, "1"),
        ("x = ", "'```'", False, "'```'"),
        ("x = ", "1\ny = 2", True, "1\ny = 2"),
    ],
)
def test_an_answer_ends_with_its_line_or_its_fence(
    infiller: GemmaInfiller, monkeypatch: pytest.MonkeyPatch, prefix: str, written: str, multiline: bool, text: str
):
    """And what came behind is in neither the text nor its confidence."""
    reasons: list[FinishReason] = ["budget", "length"]

    def generated(_: object, prompt: object, states: object, watch: _Watch, asked: object) -> FinishReason:
        watch.tokens = infiller.tokenizer.encode(written)
        watch.log_probs = [-0.25] * len(watch.tokens)
        return reasons[-1]

    monkeypatch.setattr(GemmaInfiller, "_generate", generated)
    hole = replace(HOLE, prefix=prefix, multiline=multiline, replaced=(len(prefix), len(prefix)))
    found = infiller.complete(request(hole), never)
    n = len(infiller.tokenizer.encode(text))
    assert (found.text, found.n_tokens) == (text, n)
    assert found.confidence == pytest.approx(math.exp(-0.25 * n) if text else 0)
    assert found.finish_reason == ("length" if text == written else "stop")
    reasons.pop()
    assert infiller.complete(request(hole), never).finish_reason == "budget"


def test_special_tokens_in_a_file_are_text(infiller: GemmaInfiller):
    evil = "".join(GEMMA_SPECIALS)
    plain = infiller.prompt(HOLE)
    prompt = infiller.prompt(replace(HOLE, prefix=evil + HOLE.prefix, suffix=evil))
    special = {infiller.tokenizer.added[text] for text in GEMMA_SPECIALS}
    assert [token for token in prompt if token in special] == [token for token in plain if token in special]


def test_long_texts_fit_and_their_beginning_stays_where_it_is(infiller: GemmaInfiller):
    long = replace(HOLE, prefix="value = other + 1\n" * 2000, suffix="value = other + 1\n" * 2000)
    prompt = infiller.prompt(long)
    assert len(prompt) + infiller.n_canvas <= infiller.n_context
    more = infiller.prompt(replace(long, prefix=long.prefix + "x"))
    assert more[: len(prompt) - 1] == prompt[:-1]
    assert infiller.complete(request(long, max_evaluations=2), never).steps == 2
    for strange in ("\N{SNAKE}" * 3000, "x" * 20_000 + "\nfoo = ", "0123456789" * 900):
        assert len(infiller.prompt(replace(HOLE, prefix=strange, suffix=strange))) + infiller.n_canvas <= 512
    infiller.complete(request(replace(HOLE, prefix="", suffix="")), never)


def test_requests_are_served_one_after_the_other(infiller: GemmaInfiller):
    jobs = [infiller.begin(request(max_evaluations=n), never) for n in (2, 3)]
    infiller.advance(jobs)
    assert jobs[0].completion is not None and jobs[1].completion is None
    infiller.advance(jobs)
    assert jobs[1].completion is not None and jobs[1].completion.steps == 3
    with pytest.raises(InputError, match="sampler of its own"):
        infiller.begin(request(policy="entropy"), never)


def test_settings_of_a_folder_that_would_be_in_the_way(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "copy")
    settings = {"cache_implementation": "static", "max_length": 20}
    (tmp_path / "copy" / "generation_config.json").write_text(json.dumps(settings))
    assert load_gemma(tmp_path / "copy").complete(request(max_evaluations=2), never).steps == 2  # in bfloat16


def test_a_transformers_of_another_time_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    library = importlib.import_module("transformers")
    monkeypatch.setattr(library.DiffusionGemmaForBlockDiffusion, "generate", lambda input_ids, past_key_values: None)
    assert "pip install" in refusal(folder, InputError)


def refusal(folder: Path, kind: type[Exception] = CheckpointError) -> str:
    with pytest.raises(kind) as caught:
        load_gemma(folder)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_diffusion_gemma(tmp_path)
    assert kind_of(tmp_path) == "renoising"
    with pytest.raises(InputError, match="leave --family and --weights out"):
        load_folder(tmp_path, 1, LoadPlan(family="dream", weights="int8"))
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    tensors, says = load_file(weights), config.read_text()
    save_file({name: tensor for name, tensor in tensors.items() if "layers.1.self_attn.q_proj" not in name}, weights)
    assert "lacks weights for" in refusal(tmp_path)
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "is damaged" in refusal(tmp_path)
    save_file(tensors, weights)
    config.write_text(json.dumps(json.loads(says) | {"text_config": {"hidden_size": "big", "eos_token_id": 1}}))
    assert "makes no DiffusionGemma" in refusal(tmp_path)
    for changes in ({"canvas_length": 0}, {"text_config": json.loads(says)["text_config"] | {"eos_token_id": 10**6}}):
        config.write_text(json.dumps(json.loads(says) | changes))
        assert str(tmp_path) in refusal(tmp_path)
    for part in ("text_config", "vision_config"):
        many = json.loads(says)[part] | {"num_hidden_layers": 10**7, "layer_types": None}
        config.write_text(json.dumps(json.loads(says) | {part: many}))
        assert "layers" in refusal(tmp_path)
    wide = json.loads(says)["text_config"] | {"intermediate_size": 10**9}
    config.write_text(json.dumps(json.loads(says) | {"text_config": wide}))
    assert "lacks weights" in refusal(tmp_path)
    config.write_text(says)
    save_file({name: tensor * math.nan for name, tensor in tensors.items()}, weights)
    assert "not numbers" in refusal(tmp_path)
    save_file(tensors, weights)
    for file in ("adapter_config.json", "processor_config.json"):
        replaced(tmp_path / file, "device")
        assert file in refusal(tmp_path)
        (tmp_path / file).unlink()
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "adapter" in refusal(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": weights.name}}))
    assert "holds both" in refusal(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    weights.rename(tmp_path / "pytorch_model.bin")
    assert "a pickle" in refusal(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert "there is no tokenizer" in refusal(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers.models.diffusion_gemma", None)
    assert "pip install" in refusal(tmp_path, InputError)
