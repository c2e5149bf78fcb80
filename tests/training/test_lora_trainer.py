"""A LoRA is trained: what learns, what it computes, and that a run goes on exactly."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.checkpoint.lora import read_lora
from quicksilver.model.gguf.convert import import_gguf
from quicksilver.training.adapt.lora_exam import _best, examine
from quicksilver.training.adapt.lora_layers import add_lora, write_lora
from quicksilver.training.adapt.lora_pass import Asked, hidden_states, losses
from quicksilver.training.adapt.lora_trainer import LoraPlan, held_out, split
from tiny_lora import PLAN, tiny_body, tiny_stream, tiny_trainer


def test_the_first_step_starts_from_the_body_and_only_the_lora_learns(tmp_path: Path):
    model, _ = tiny_body(tmp_path)
    tokens = torch.arange(40) % 200
    before = hidden_states(model, [tokens])
    lora = add_lora(model, 4, 2.0, seed=1)
    torch.testing.assert_close(hidden_states(model, [tokens]), before)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        name.replace(".weight.", ".") for name in lora
    }
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer = tiny_trainer(tmp_path)
    steps = trainer.steps()
    for _ in range(2):
        next(steps)
    for name, p in trainer.model.named_parameters():
        is_lora = name.endswith((".a", ".b"))
        assert torch.equal(p.detach(), weights[name]) != is_lora, name
        assert p.grad is None


def test_rows_in_one_pass_do_not_see_each_other(tmp_path: Path):
    model, tokenizer = tiny_body(tmp_path)
    lora = add_lora(model, 4, 2.0, seed=1)
    examples = held_out(tiny_stream(tokenizer), 3)
    rows = [torch.from_numpy(example.tokens[:-1]) for example in examples]
    together = hidden_states(model, rows).split([len(row) for row in rows])
    for row, hidden in zip(rows, together, strict=True):
        torch.testing.assert_close(hidden, model.context(row.unsqueeze(0))[0][0], rtol=1e-4, atol=1e-4)
    found = losses(model, hidden_states(model, rows), Asked.of(examples, torch.device("cpu")))
    single = [
        losses(model, hidden_states(model, [row]), Asked.of([example], torch.device("cpu")))
        for row, example in zip(rows, examples, strict=True)
    ]
    torch.testing.assert_close(found, torch.cat(single), rtol=1e-4, atol=1e-4)
    assert lora


def test_passes_side_by_side_give_the_gradients_of_one_pass(tmp_path: Path):
    weights = []
    for micro_tokens, n_threads in ((200, 1), (60, 3)):
        trainer = tiny_trainer(tmp_path, dataclasses.replace(PLAN, micro_tokens=micro_tokens, n_threads=n_threads))
        next(trainer.steps())
        weights.append(torch.cat([weight.detach().flatten() for weight in trainer.lora.values()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-3, atol=1e-6)


def test_merged_is_unmerged(tmp_path: Path):
    trainer = tiny_trainer(tmp_path)
    steps = trainer.steps()
    for _ in range(4):
        next(steps)
    path = tmp_path / "lora.safetensors"
    write_lora(path, trainer.averages(), trainer.plan.scale, {"rank": "4"})
    shapes = trainer.model.config.weight_shapes()
    lora = read_lora(path, shapes)
    merged, _ = tiny_body(tmp_path)
    tokens = torch.arange(60) % 200
    plain = merged.vocabulary_logits(hidden_states(merged, [tokens]))
    with torch.no_grad():
        for name, p in merged.named_parameters():
            change = lora.change(name, 0, len(p)) if p.ndim == 2 else None
            if change is not None:
                p += torch.from_numpy(change)
    logits = merged.vocabulary_logits(hidden_states(merged, [tokens]))
    with trainer.averaged():
        expected = trainer.model.vocabulary_logits(hidden_states(trainer.model, [tokens]))
    assert (expected - plain).abs().max() > 0.01
    torch.testing.assert_close(logits, expected, rtol=2e-3, atol=2e-3)
    after = trainer.model.vocabulary_logits(hidden_states(trainer.model, [tokens]))
    assert not torch.allclose(after, expected, atol=1e-6), "the trained weights are back"


def test_the_import_takes_the_file(tmp_path: Path):
    trainer = tiny_trainer(tmp_path)
    next(trainer.steps())
    write_lora(tmp_path / "lora.safetensors", trainer.averages(), 2.0, {})
    for name, lora in (("plain", None), ("merged", tmp_path / "lora.safetensors")):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / name, name=name, source={}, lora=lora)
    one, other = (load(tmp_path / name).model.state_dict() for name in ("plain", "merged"))
    assert not torch.equal(one["blocks.1.ffn.down.weight"], other["blocks.1.ffn.down.weight"])


def test_a_resumed_run_goes_on_exactly(tmp_path: Path):
    whole, first, second = (tiny_trainer(tmp_path) for _ in range(3))
    steps = whole.steps()
    records = [next(steps) for _ in range(5)]
    steps = first.steps()
    for _ in range(2):
        next(steps)
    assert not second.resume(tmp_path / "nowhere")
    first.save(tmp_path)
    assert second.resume(tmp_path)
    steps = second.steps()
    assert [next(steps) for _ in range(3)] == records[2:]
    for own, other in ((whole.lora, second.lora), (whole.averages(), second.averages())):
        for name, weight in own.items():
            assert torch.equal(weight, other[name]), name


def test_the_state_of_another_lora_is_one_line(tmp_path: Path):
    trainer = tiny_trainer(tmp_path)
    trainer.save(tmp_path)
    other = tiny_trainer(tmp_path, dataclasses.replace(PLAN, rank=8))
    with pytest.raises(InputError, match="cannot resume"):
        other.resume(tmp_path)


def test_the_rate_warms_up_and_falls_to_nothing():
    plan = LoraPlan(minutes=10, n_warmup=4, decay_share=0.5)
    assert [plan.factor(step, 0) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1, 1]
    assert [plan.factor(9, done) for done in (0.5, 0.75, 1.0, 1.1)] == [1, 0.5, 0, 0]
    with pytest.raises(ValueError, match="a pass"):
        LoraPlan(minutes=1, batch_tokens=10, micro_tokens=20)


def test_a_run_ends_with_its_minutes_and_waiting_does_not_count(tmp_path: Path):
    waits = []
    trainer = tiny_trainer(tmp_path, dataclasses.replace(PLAN, minutes=3.5 / 60))
    trainer._wait = lambda: waits.append(trainer._clock())
    assert [step.seconds for step in trainer.steps()] == [1, 2, 3, 4]
    assert len(waits) == 4


def test_passes_hold_all_examples_in_order(tmp_path: Path):
    examples = tiny_trainer(tmp_path).batch(0)
    parts = split(examples, 100)
    assert [example for part in parts for example in part] == examples
    assert len(parts) > 1 and all(parts)


def test_an_examination_sees_exact_answers_and_ends(tmp_path: Path):
    model, tokenizer = tiny_body(tmp_path)
    examples = held_out(tiny_stream(tokenizer), 12)
    marks = examine(model, tokenizer, examples)
    assert marks.nats > 1 and 0 <= marks.exact <= 1
    assert examine(model, tokenizer, []).nats != examine(model, tokenizer, []).nats, "of nothing there is no mean"


def test_a_greedy_answer_begins_with_the_open_piece(tmp_path: Path):
    _, tokenizer = tiny_body(tmp_path)
    target = torch.tensor(tokenizer.encode("return x"))
    log_probs = torch.full((len(target), tokenizer.vocab_size), -9.0)
    log_probs[:, tokenizer.encode("z")[0]] = 0.0
    log_probs[0, tokenizer.encode("q")[0]] = 1.0
    best = _best(log_probs, target, "re", tokenizer)
    assert tokenizer.decode([int(best[0])])[0] == "r"
    assert tokenizer.decode([int(best[-1])]) == "z"


def test_learning_lowers_the_loss(tmp_path: Path):
    trainer = tiny_trainer(tmp_path, dataclasses.replace(PLAN, rate=2e-2, batch_tokens=400))
    steps = trainer.steps()
    found = [next(steps).nats for _ in range(24)]
    assert np.mean(found[-4:]) < np.mean(found[:4]) - 0.3
