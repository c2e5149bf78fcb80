import json
import signal
from dataclasses import replace

import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.model.denoiser import Denoiser
from quicksilver.training.corpus import Document
from quicksilver.training.samples import SampleConfig, SampleStream
from quicksilver.training.trainer import LOG, STATE, TrainConfig, Trainer
from tiny import TEXTS, tiny_config, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
PLAN = TrainConfig(steps=12, batch_tokens=192, stages=((0.0, 48), (0.5, 96)), warmup_steps=2, valid_steps=5)


def trainer(folder, config=PLAN):
    torch.manual_seed(0)
    model = Denoiser(tiny_config(TOKENIZER.vocab_size))
    documents = [Document("p", "a.py", (TEXTS[0] + TEXTS[1]) * 6)]
    stream = SampleStream(documents, TOKENIZER, SampleConfig(n_context=48, n_canvas=8))
    return Trainer(model, stream, stream, config, folder)


def curve(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [(line["step"], line["next_token"], line["canvas"], line["tokens"]) for line in lines]


class InterruptedRunError(Exception):
    pass


def test_learns_and_logs(tmp_path):
    run = trainer(tmp_path)
    run.run(show=False)
    steps = curve(tmp_path)
    assert [s[0] for s in steps] == list(range(1, 13))
    assert steps[-1][1] < steps[0][1]
    assert "valid_next" in (tmp_path / LOG).read_text()


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch):
    trainer(tmp_path / "whole").run(show=False)

    stopped = trainer(tmp_path / "parts", replace(PLAN, save_minutes=0.0))
    step = stopped._train_step

    def failing(done):
        if stopped.step == 7:
            raise InterruptedRunError
        return step(done)

    monkeypatch.setattr(stopped, "_train_step", failing)
    with pytest.raises(InterruptedRunError):
        stopped.run(show=False)
    resumed = trainer(tmp_path / "parts")
    assert resumed.resume()
    assert resumed.step == 7
    resumed.run(show=False)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")


def test_steps_lost_with_a_kill_leave_the_log(tmp_path):
    run = trainer(tmp_path)
    run.run(show=False)
    with (tmp_path / LOG).open("a") as stream:
        stream.write(json.dumps({"step": 99}) + "\n")
    trainer(tmp_path).resume()
    assert [s[0] for s in curve(tmp_path)] == list(range(1, 13))


def test_an_interrupt_lets_the_step_end_and_saves(tmp_path, monkeypatch):
    run = trainer(tmp_path)
    step = run._train_step

    def interrupting(done):
        if run.step == 3:
            signal.raise_signal(signal.SIGINT)
        return step(done)

    monkeypatch.setattr(run, "_train_step", interrupting)
    assert run.run(show=False) is False
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 4
    assert again.run(show=False) is True
    assert [s[0] for s in curve(tmp_path)] == list(range(1, 13))


def test_a_log_line_cut_off_by_a_kill_is_dropped(tmp_path):
    trainer(tmp_path).run(show=False)
    with (tmp_path / LOG).open("a") as stream:
        stream.write('{"step": 12, "nex')
    trainer(tmp_path).resume()
    assert [s[0] for s in curve(tmp_path)] == list(range(1, 13))


def test_a_fresh_run_starts_a_fresh_log(tmp_path):
    trainer(tmp_path).run(show=False)
    (tmp_path / STATE).unlink()
    assert not trainer(tmp_path).resume()
    assert curve(tmp_path) == []


def test_nothing_to_resume(tmp_path):
    assert not trainer(tmp_path).resume()


def test_a_damaged_state_is_a_clear_error(tmp_path):
    (tmp_path / STATE).write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot resume"):
        trainer(tmp_path).resume()


def test_schedule():
    config = TrainConfig(steps=100, warmup_steps=10, cooldown_share=0.25, stages=((0.0, 512), (0.6, 1024)))
    rates = [config.rate(step, config.done(step, 0.0)) for step in (0, 9, 50, 74, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.04])
    assert [config.n_context(done) for done in (0.0, 0.59, 0.6, 1.0)] == [512, 512, 1024, 1024]
    assert TrainConfig(minutes=2.0).done(5, 60.0) == 0.5


@pytest.mark.parametrize("bad", [{}, {"steps": 1, "minutes": 1.0}, {"steps": 1, "stages": ((0.5, 64),)}])
def test_impossible_plans(bad):
    with pytest.raises(ValueError):
        TrainConfig(**bad)
