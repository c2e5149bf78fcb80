import copy
import dataclasses
import sys
import types
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from quicksilver.fim.errors import CheckpointError, EngineError, InputError
from quicksilver.fim.types import CompletionRequest, Hole, Offer, Sampling
from quicksilver.model import load_infiller as load_module
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.completion import writing as writing_module
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.completion.writing import STEPS_LINE
from quicksilver.model.decoding.verification import Verified
from quicksilver.model.load_infiller import infiller_of, load_infiller
from quicksilver.model.ranking.candidates import Candidate
from quicksilver.model.ranking.ranker import Ranker, features
from quicksilver.model.requests import Rows
from quicksilver.model.runners import torch_load
from quicksilver.model.runners.drive import drive
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return tmp_path / "c"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    tokenizer, folder = tiny_tokenizer(), tmp_path_factory.mktemp("loaded")
    checkpoint.save(folder / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return load_infiller(folder / "c")


@pytest.fixture
def infiller(loaded):
    """Loaded once for this file, since that compiles; each test finds nothing cached, and tokens as they were."""
    loaded.cache.clear()
    before = copy.deepcopy(loaded._tokens)
    yield loaded
    loaded._tokens = before


def with_ranker(infiller: DenoisingInfiller, ranker: Ranker) -> DenoisingInfiller:
    return infiller_of(dataclasses.replace(infiller.checkpoint, ranker=ranker))


def request(prefix: str = TEXTS[0], multiline: bool = False, suffix: str = "\n", **more: Any) -> CompletionRequest:
    at = len(prefix)
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(at, at), multiline=multiline)
    return dataclasses.replace(CompletionRequest(hole=hole, budget_ms=None), **more)


def test_answers_and_says_how(infiller):
    completion = infiller.complete(request(), lambda: False)
    assert completion.finish_reason in {"stop", "length"}
    assert completion.steps >= 1
    assert 0 <= completion.confidence <= 1
    assert completion.range == (len(TEXTS[0]),) * 2
    assert completion.timings_ms["engine"] >= completion.timings_ms["denoise"] > 0
    assert completion.n_cached == 0 < completion.n_context


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_broken_numbers_are_an_error_and_no_sure_token(infiller, runtime, broken):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    weights = {**infiller.checkpoint.weights, "norm.weight": np.full(48, broken, dtype=np.float32)}
    infiller = infiller_of(dataclasses.replace(infiller.checkpoint, weights=weights), runtime=runtime)
    for asked in (request(drafts=0), request(drafts=4), request(multiline=True), request(prefix=TEXTS[0] + "\n")):
        with pytest.raises(EngineError, match="NaN"):
            infiller.complete(asked, lambda: False)


def test_the_same_request_again_comes_from_the_cache(infiller):
    first = infiller.complete(request(), lambda: False)
    second = infiller.complete(request(), lambda: False)
    assert second.text == first.text
    assert second.n_cached == second.n_context


def test_a_context_read_ahead(infiller):
    infiller.cache.clear()
    warmed = infiller.complete(request(warms=True), lambda: False)
    assert (warmed.text, warmed.steps, warmed.n_cached) == ("", 0, 0)
    completion = infiller.complete(request(), lambda: False)
    assert completion.n_cached == completion.n_context == warmed.n_context


@pytest.mark.parametrize("prefix", ["", "x", "\ud800", "\x00", "<mask>" * 50, "é漢😀" * 400])
def test_any_text_is_a_prefix(infiller, prefix):
    infiller.complete(request(prefix=prefix), lambda: False)


def test_cancel_before_the_first_step(infiller):
    completion = infiller.complete(request(), lambda: True)
    assert (completion.finish_reason, completion.text, completion.steps) == ("cancelled", "", 0)


def test_a_spent_budget_is_a_result(infiller):
    completion = infiller.complete(request(budget_ms=0.0), lambda: False)
    assert (completion.finish_reason, completion.text, completion.confidence) == ("budget", "", 0.0)


def test_nothing_is_read_for_a_spent_budget_but_a_warm_up(infiller, monkeypatch):
    infiller.cache.clear()
    asks = []
    run = infiller.run
    monkeypatch.setattr(infiller, "run", lambda new: asks.extend(new) or run(new))
    infiller.complete(request(budget_ms=0.0), lambda: False)
    assert asks == []
    infiller.complete(request(budget_ms=0.0, warms=True), lambda: False)
    assert asks


def test_a_budget_that_ends_between_two_blocks_keeps_the_text(infiller, monkeypatch):
    asked = request(multiline=True, max_tokens=20, policy="all", drafts=0, budget_ms=60_000.0)
    tokens = infiller.tokens_for(asked.hole)
    tokens.forbidden[infiller.tokenizer.special(3)] = True
    tokens.may_end_before[:] = False
    filling = infiller.filling(asked, lambda: False)
    monkeypatch.setattr(infiller, "filling", lambda *_: filling)
    job = infiller.begin(asked, lambda: False)
    run = infiller.run

    def run_until_late(asks):
        if any(isinstance(ask, Rows) for ask in asks):
            effort = filling.effort
            effort.budget = dataclasses.replace(effort.budget, deadline_s=0.0)
        return run(asks)

    monkeypatch.setattr(infiller, "run", run_until_late)
    while job.completion is None:
        infiller.advance([job])
        assert job.error is None
    assert job.completion.finish_reason == "budget"
    assert job.completion.text


def test_the_evaluation_cap_holds_over_all_blocks(infiller):
    completion = infiller.complete(
        request(multiline=True, max_evaluations=3, max_tokens=60, policy="one"), lambda: False
    )
    assert completion.steps <= 3


def test_max_tokens(infiller):
    for n in (1, 3, 8, 20):
        assert infiller.complete(request(multiline=True, max_tokens=n, policy="all"), lambda: False).n_tokens <= n


def test_long_answers_go_on_block_by_block(infiller, monkeypatch):
    """A model that never ends its text fills canvas after canvas, each after the one before."""
    end = infiller.tokenizer.special(3)
    asked = request(multiline=True, max_tokens=20, policy="all", drafts=0)
    tokens = infiller.tokens_for(asked.hole)
    tokens.forbidden[end] = True
    tokens.may_end_before[:] = False
    completion = infiller.complete(asked, lambda: False)
    assert (completion.n_tokens, completion.steps, completion.finish_reason) == (20, 3, "length")


def test_trace_has_a_frame_a_step_and_ends_with_the_text(infiller):
    completion = infiller.complete(request(trace=True, policy="one", drafts=0), lambda: False)
    assert [frame.step for frame in completion.trace] == list(range(1, completion.steps + 1))
    last = completion.trace[-1].cells
    assert all(cell.state != "masked" for cell in last)
    assert "".join(cell.text for cell in last).partition("\n")[0] == completion.text


@pytest.mark.parametrize("seed", range(4))
def test_a_trace_ends_with_the_answer_where_the_answer_was_cut(infiller, seed):
    """Inside a line the end may be settled left of what the last step showed."""
    asked = request(prefix=f"x = {seed}\ny = [", suffix="]\n", multiline=True, trace=True, drafts=0)
    completion = infiller.complete(asked, lambda: False)
    assert completion.text
    assert "".join(cell.text for cell in completion.trace[-1].cells) == completion.text


def test_drafts_compete_and_the_answer_says_where_it_came_from(infiller):
    """With random weights the causal head may like anything: so the ranker here likes drafts only."""
    prefix = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height):\n    return wid"
    weights = dict.fromkeys(features([Candidate(text="", tokens=())], [Verified.nothing()])[0], 0.0)
    sure = Ranker(weights | {"draft": 9.0, "bias": -4.0})
    found = with_ranker(infiller, sure).complete(request(prefix=prefix), lambda: False)
    assert (found.text, found.source, found.finish_reason) == ("th * height", "file", "stop")
    assert found.steps == 1  # a sure draft needs no canvas
    assert found.confidence > 0.9
    traced = with_ranker(infiller, sure).complete(request(prefix=prefix, trace=True), lambda: False)
    assert ["".join(cell.text for cell in frame.cells) for frame in traced.trace] == ["th * height"]
    unsure = Ranker(weights | {"canvas": 9.0, "bias": -4.0})
    denoised = with_ranker(infiller, unsure).complete(request(prefix=prefix), lambda: False)
    assert denoised.source == "denoiser"
    assert with_ranker(infiller, sure).complete(request(prefix=prefix, drafts=0), lambda: False).source == "denoiser"


def likes(**weights: float) -> Ranker:
    none = dict.fromkeys(features([Candidate(text="", tokens=())], [Verified.nothing()])[0], 0.0)
    return Ranker(none | weights)


def offer(text: str, n_before: int = 60, **more: Any) -> Offer:
    return Offer(**{"text": text, "source": "workspace", "n_before": n_before, "n_after": 1} | more)


def test_offers_compete_and_the_answer_says_where_it_came_from(infiller):
    prefix = "def area(width, height):\n    return width * height\n\n\ndef volume(width, height):\n    return wid"
    model = with_ranker(infiller, likes(before=4.0, bias=-3.0))
    asked = request(prefix=prefix, offers=(offer("th * 3", 80), offer("th * 4", source="open file")), n_alternatives=9)
    best = model.complete(asked, lambda: False)
    assert (best.text, best.source) == ("th * 3", "workspace")
    assert [(a.text, a.source) for a in best.alternatives[:2]] == [("th * 4", "open file"), ("th * height", "file")]
    own = model.complete(request(prefix=prefix, offers=(offer("th * height"),)), lambda: False)
    assert (own.text, own.source) == ("th * height", "workspace")  # where it agrees best
    equal = model.complete(request(prefix=prefix, offers=(offer("th * height", n_before=1),)), lambda: False)
    assert equal.source == "file"


def drafts_of(infiller: DenoisingInfiller, asked: CompletionRequest) -> list[str]:
    filling = infiller.filling(asked, lambda: False)
    states, _ = drive(infiller.run, filling.cache.states(filling.context))
    judged = drive(infiller.run, filling.judge_drafts(states))
    return [j.candidate.text for j in judged if not j.candidate.is_cut]


def test_with_offers_no_more_drafts_are_verified(infiller):
    offers = tuple(offer(f"value_{i}", n_before=10 + i) for i in range(20))
    asked = request("q", offers=offers, drafts=3)
    assert set(drafts_of(infiller, asked)) == {"value_19", "value_18", "value_17"}
    assert drafts_of(infiller, dataclasses.replace(asked, drafts=0)) == []


def test_offers_that_cannot_fill_the_hole_are_no_candidates(infiller):
    offers = (offer("a\r\n    b"), offer("  "), offer(""), offer("x" * 4000))
    assert drafts_of(infiller, request("q", offers=offers)) == []
    assert drafts_of(infiller, request("q", offers=offers, multiline=True)) == ["a\n    b"]


def test_alternatives_are_the_other_candidates_the_likeliest_first(infiller):
    places = "".join(f"size = {name} * 2\n" for name in ("width", "height", "depth", "area"))
    asked = request(places + "size = ", suffix=" * 2\n", multiline=True)
    alone = infiller.complete(asked, lambda: False)
    assert alone.alternatives == ()
    for n in (1, 3, 16):
        among = infiller.complete(dataclasses.replace(asked, n_alternatives=n), lambda: False)
        assert (among.text, among.steps, among.confidence) == (alone.text, alone.steps, alone.confidence)
        texts = [a.text for a in among.alternatives]
        assert len(texts) <= n
        assert len({among.text, *texts}) == len(texts) + 1
        assert all(text.strip() for text in texts)
        sure = [among.confidence, *(a.confidence for a in among.alternatives)]
        assert sure == sorted(sure, reverse=True)
        assert all(
            a.n_tokens == len(infiller.tokenizer.encode(a.text)) for a in among.alternatives if "*" not in a.text
        )
    assert len(texts) >= 3


def test_only_verified_texts_are_alternatives(infiller):
    """Without time to verify what was denoised, it is the answer or nothing; drafts were verified before."""
    places = "".join(f"size = {name}\n" for name in ("width", "height"))
    asked = request(places + "size = ", n_alternatives=9)
    short = dataclasses.replace(asked, max_evaluations=2)  # one for drafts, one for the canvas
    unsure = with_ranker(infiller, likes(bias=-30.0))
    completion = unsure.complete(short, lambda: False)
    assert completion.source == "denoiser"
    assert {a.source for a in completion.alternatives} == {"file"}
    assert unsure.complete(dataclasses.replace(short, drafts=0), lambda: False).alternatives == ()


def test_drafts_have_the_models_line_breaks(infiller):
    prefix = "def a():\r\n    x = 1\r\n    y = 2\r\n\r\n\r\ndef b():\r\n    x = "
    filling = infiller.filling(request(prefix=prefix, multiline=True), lambda: False)
    states, _ = drive(infiller.run, filling.cache.states(filling.context))
    drafts = [j.candidate.text for j in drive(infiller.run, filling.judge_drafts(states))]
    assert "1\n    y = 2" in drafts
    assert not any("\r" in text for text in drafts)


def test_without_time_to_verify_no_draft_is_shown(infiller):
    prefix = "value = compute(1)\nvalue = comp"
    completion = infiller.complete(request(prefix=prefix, budget_ms=0.0), lambda: False)
    assert (completion.text, completion.finish_reason) == ("", "budget")


@pytest.mark.parametrize("lengths", [2, 4, 16])
def test_several_lengths_in_one_batch(infiller, lengths):
    completion = infiller.complete(request(lengths=lengths, drafts=0, policy="one"), lambda: False)
    assert completion.finish_reason in {"stop", "length"}
    assert completion.steps >= 3  # the lengths' marginals, at least one step, the verification
    assert 0 <= completion.confidence <= 1
    again = infiller.complete(request(lengths=lengths, drafts=0, policy="one"), lambda: False)
    assert again.text == completion.text


def test_drafts_are_mended_where_the_denoiser_doubts_them(infiller):
    """Random weights doubt every token: a mended draft starts over, from as many masks as the draft had tokens."""
    filling = infiller.filling(request(prefix="size = ab\nother = 1\nsize = ", mends=2), lambda: False)
    states, _ = drive(infiller.run, filling.cache.states(filling.context))
    drafts = drive(infiller.run, filling.judge_drafts(states))
    drafts = [j for j in drafts if j.candidate.text in {"ab", "1"}]  # without those that end earlier
    assert len(drafts) == 2
    assert len(drive(infiller.run, filling.writing.denoise_canvases(filling.context, states, drafts))) == 3
    assert len(drive(infiller.run, filling.writing.denoise_canvases(filling.context, states, []))) == 1


@pytest.mark.parametrize("n", range(1, 8))
def test_the_evaluation_cap_holds_with_everything_on(infiller, n):
    completion = infiller.complete(request(max_evaluations=n, lengths=4, mends=2), lambda: False)
    assert completion.steps <= n


def test_bfloat16_runs(folder):
    infiller = infiller_of(checkpoint.load(folder), dtype="bfloat16")
    assert infiller.complete(request(), lambda: False).steps >= 1


def test_load_errors(tmp_path, folder):
    with pytest.raises(CheckpointError):
        load_infiller(tmp_path / "nothing")
    with pytest.raises(InputError):
        load_infiller(folder, n_threads=0)


def test_the_more_wait_the_fewer_steps(infiller):
    """Every canvas of a request with a deadline keeps to the ceiling; alone there is none."""
    asked = request(multiline=False, max_tokens=8, policy="one", drafts=0, budget_ms=600_000.0)

    def steps(n_waiting, asked=asked):
        job = infiller.begin(asked, lambda: False)
        while job.completion is None:
            infiller.advance([job], n_waiting)
        return job.completion.steps

    alone = steps(0)
    assert steps(63) == min(alone, 2) < alone
    assert steps(63, dataclasses.replace(asked, budget_ms=None)) == alone
    drawn = dataclasses.replace(asked, sampling=Sampling(temperature=1.0, seed=3))
    assert steps(63, drawn) == steps(0, drawn)


def test_as_many_drafts_are_verified_as_their_tokens_allow(infiller, monkeypatch):
    """Short ones all; of long ones, each padded to the longest, only the first."""

    def n_drafts(n_tokens):
        monkeypatch.setattr("quicksilver.model.completion.infiller.N_DRAFT_TOKENS", n_tokens)
        places = "".join(f"size = {name} * 2\n" for name in ("width", "height", "depth", "area"))
        filling = infiller.filling(request(prefix=places + "size = ", suffix=" * 2\n", multiline=True), lambda: False)
        states, _ = drive(infiller.run, filling.cache.states(filling.context))
        judged = drive(infiller.run, filling.judge_drafts(states))
        return sum(not j.candidate.is_cut for j in judged)

    assert n_drafts(256) == 4
    assert 0 < n_drafts(12) < 4
    assert n_drafts(0) == 0


def test_only_where_the_end_is_unknown_may_a_candidate_end_earlier(infiller):
    """Random weights find every text too long; at the end of a line there is no other end than the line's."""

    def drafts(**hole):
        filling = infiller.filling(request(prefix="size = abc + def\nsize = ", **hole), lambda: False)
        states, _ = drive(infiller.run, filling.cache.states(filling.context))
        return {j.candidate.text for j in drive(infiller.run, filling.judge_drafts(states))}

    assert drafts(suffix="\nother") == {"abc + def"}
    assert len(drafts(suffix="\nother", multiline=True)) == 1
    assert len(drafts(suffix=" = ", multiline=True)) > 1


class Forgetful:
    """A runner that has no memory for more than so many tokens in a forward."""

    def __init__(self, run, most: int, message: str = "DefaultCPUAllocator: can't allocate memory") -> None:
        self.run, self.most, self.message = run, most, message
        self.lost: weakref.ref | None = None

    def __call__(self, asks):
        assert self.lost is None or self.lost() is None, "what the failed forward held is still alive"
        if sum(np.size(ask.tokens) for ask in asks) > self.most:
            activations = np.zeros(1)
            self.lost = weakref.ref(activations)
            raise RuntimeError(self.message)
        return self.run(asks)


def test_out_of_memory_together_then_alone(infiller, monkeypatch):
    """What does not fit together is done one by one, without a cache."""
    infiller.cache.clear()
    monkeypatch.setattr(infiller, "run", Forgetful(infiller.run, 60))
    jobs = [infiller.begin(request(max_tokens=8, drafts=0), lambda: False) for _ in range(3)]
    for _ in range(200):
        infiller.advance(jobs)
    assert [job.error for job in jobs] == [None] * 3
    assert len({job.completion.text for job in jobs if job.completion is not None}) == 1
    assert all(job.completion is not None for job in jobs)


def test_out_of_memory_alone_is_said_and_the_next_request_works(infiller, monkeypatch):
    run = infiller.run
    monkeypatch.setattr(infiller, "run", Forgetful(run, 2))
    with pytest.raises(EngineError, match="not enough memory"):
        infiller.complete(request(), lambda: False)
    monkeypatch.setattr(infiller, "run", run)
    assert infiller.complete(request(), lambda: False).finish_reason in {"stop", "length"}


def test_another_failure_is_not_taken_for_memory(infiller, monkeypatch):
    monkeypatch.setattr(infiller, "run", Forgetful(infiller.run, 2, "expected a tensor"))
    with pytest.raises(RuntimeError, match="expected a tensor"):
        infiller.complete(request(), lambda: False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(InputError, match="the device cuda cannot be used"):
        load_infiller(device="cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_without_room_is_left_alone(monkeypatch, caplog):
    monkeypatch.setattr(torch_load, "fastest_device", lambda: "cuda")
    completion = load_infiller(runtime="torch", n_threads=1).complete(request(max_tokens=2), lambda: False)
    assert completion.finish_reason in {"stop", "length"}
    assert "using the CPU" in caplog.text


@pytest.mark.parametrize("broken", [None, types.ModuleType("openvino")])
def test_a_runtime_that_is_broken_is_left_alone(monkeypatch, caplog, broken):
    monkeypatch.setitem(sys.modules, "openvino", broken)
    for name in ("runner", "compile", "graph", "nodes"):
        monkeypatch.delitem(sys.modules, f"quicksilver.model.openvino.{name}", raising=False)
    monkeypatch.setattr(load_module, "fastest_runtime", lambda: "openvino")
    assert load_infiller(n_threads=1).loaded.runtime == "torch"
    assert "OpenVINO cannot run the model" in caplog.text
    with pytest.raises(InputError, match="pip install openvino"):
        load_infiller(n_threads=1, runtime="openvino")


@pytest.mark.parametrize("n", [15, 16, 17, 19, 21, 24])
def test_a_line_may_have_all_the_tokens_that_were_asked_for(infiller, n):
    """Canvases of lines are short, and a rest too short for another canvas is no reason to leave it out."""
    sizes = []
    whole = writing_module.denoise

    def counting(states, canvas, *more):
        sizes.append(canvas.shape[1])
        return whole(states, canvas, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing_module, "denoise", counting)
        patch.setattr(writing_module.PartialAnswer, "end", lambda row: None)
        patch.setattr(infiller, "config", dataclasses.replace(infiller.config, n_canvas=24))
        endless = {key: dataclasses.replace(v, stops=v.stops & False) for key, v in infiller._tokens.items()}
        patch.setattr(infiller, "_tokens", endless)
        infiller.complete(request(max_tokens=n), lambda: False)
    assert sum(sizes) == n


def test_one_runtime_after_the_other_keeps_the_threads():
    """Whoever was told a number keeps it to itself."""
    before = torch.get_num_threads()
    try:
        n = load_infiller(runtime="torch").loaded.n_threads
        assert load_infiller(runtime="torch", n_threads=1).loaded.n_threads == 1 == torch.get_num_threads()
        assert load_infiller(runtime="openvino").loaded.n_threads == n
        assert load_infiller(runtime="torch").loaded.n_threads == n == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_a_line_whose_result_is_verified_takes_few_steps(infiller):
    """Unless the request says how: a policy, no candidates, several lines."""
    text = TEXTS[0] + "zzz = "
    few = infiller.complete(request(text, drafts=1, max_tokens=8), lambda: False)
    many = infiller.complete(request(text, drafts=1, max_tokens=8, policy="one"), lambda: False)
    alone = infiller.complete(request(text, drafts=0, max_tokens=8, policy="one"), lambda: False)
    assert few.steps <= STEPS_LINE + 2 < min(many.steps, alone.steps)
    assert few.finish_reason in {"stop", "length"}
