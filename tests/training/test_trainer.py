import errno
import json
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.samples import SampleConfig, SampleStream
from quicksilver.training.run.config import RunCall
from quicksilver.training.run.log import SAMPLES
from quicksilver.training.run.loss import AS_WRITTEN, Passes
from quicksilver.training.run.samples_page import Probe, draw_holes, fill
from quicksilver.training.run.trainer import LOG, N_SKIPPED_MAX, STATE, TrainConfig, Trainer
from tiny import TEXTS, tiny_config, tiny_tokenizer

pytestmark = pytest.mark.slow

TOKENIZER = tiny_tokenizer()
DOCUMENTS = [CorpusDocument("p", "a.py", (TEXTS[0] + TEXTS[1]) * 6)]
PLAN = TrainConfig(
    steps=12, batch_tokens=192, stages=((0.0, 48), (0.5, 96)), warmup_steps=2, valid_steps=5, valid_samples=4
)


def trainer(folder, config=PLAN, **more):
    torch.manual_seed(0)
    model = Denoiser(tiny_config(TOKENIZER.vocab_size))
    stream = SampleStream(DOCUMENTS, TOKENIZER, SampleConfig(n_context=48, n_canvas=8))
    return Trainer(model, stream, stream, config, folder, **more)


def curve(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [(line["step"], line.get("next_token"), line.get("canvas"), line["tokens"]) for line in lines]


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that came to its end, and its folder: not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    run = trainer(folder)
    assert run.run(show=False) == "done"
    return run, folder


@pytest.fixture
def ended(whole, tmp_path):
    """A folder of a run that came to its end."""
    return shutil.copytree(whole[1], tmp_path / "ended")


class InterruptedRunError(Exception):
    pass


def stop_before(run, step, how):
    """Let how() happen in the place of the given step."""
    train_step = run._train_step

    def stopping(plan, done):
        if run.step == step:
            how()
        return train_step(plan, done)

    run._train_step = stopping


def fail():
    raise InterruptedRunError


def test_learns_and_logs(whole):
    _, folder = whole
    steps = curve(folder)
    assert [s[0] for s in steps] == list(range(1, 13))
    assert steps[-1][1] < steps[0][1]
    assert "valid_next" in (folder / LOG).read_text()


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, whole):
    run, folder = whole
    stopped = trainer(tmp_path / "parts", replace(PLAN, save_minutes=0.0))
    stop_before(stopped, 7, fail)
    with pytest.raises(InterruptedRunError):
        stopped.run(show=False)
    resumed = trainer(tmp_path / "parts")
    assert resumed.resume()
    assert resumed.step == 7
    resumed.run(show=False)
    assert curve(tmp_path / "parts") == curve(folder)
    assert torch.equal(weights(resumed), weights(run))
    for name, average in run.averaged.state_dict().items():
        assert torch.equal(resumed.averaged.state_dict()[name], average), name


def test_micro_batches_add_up_to_the_batch(tmp_path):
    """The same samples in one forward or in four: the same step, but for the order of sums."""
    run = trainer(tmp_path / "four", replace(PLAN, micro_tokens=48))
    assert run.config.batches(48, 1) == (4, 1)
    assert run.config.batches(96, 1) == (2, 1)
    assert run.config.batches(96, 2) == (1, 1)
    run.run(show=False)
    assert [s[3] for s in curve(tmp_path / "four")] == [192 * (i + 1) for i in range(12)]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_step_end_and_saves(tmp_path, kind):
    """By the handler that is there during a step; test_trainer_processes sends real signals to another process."""
    run = trainer(tmp_path)

    def interrupt() -> None:
        handler = signal.getsignal(kind)
        assert callable(handler)
        handler(kind, None)

    stop_before(run, 3, interrupt)
    assert run.run(show=False) == "interrupted"
    again = trainer(tmp_path)
    assert again.resume()
    assert again.step == 4
    assert again.run(show=False) == "done"
    assert [s[0] for s in curve(tmp_path)] == list(range(1, 13))


@pytest.mark.parametrize("line", ['{"step": 99}\n', '{"step": 12, "nex'])
def test_lines_lost_with_a_kill_leave_the_log(ended, line):
    with (ended / LOG).open("a") as stream:
        stream.write(line)
    trainer(ended).resume()
    assert [s[0] for s in curve(ended)] == list(range(1, 13))


def test_a_fresh_run_starts_a_fresh_log(ended):
    (ended / STATE).unlink()
    assert not trainer(ended).resume()
    assert curve(ended) == []


def test_nothing_to_resume(tmp_path):
    assert not trainer(tmp_path).resume()


@pytest.mark.parametrize("damage", [b"nonsense", b""])
def test_a_damaged_state_is_a_clear_error(tmp_path, damage):
    (tmp_path / STATE).write_bytes(damage)
    with pytest.raises(InputError, match="cannot resume"):
        trainer(tmp_path).resume()


def test_a_cut_state_is_a_clear_error(tmp_path):
    trainer(tmp_path).save()
    raw = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(InputError, match="cannot resume"):
        trainer(tmp_path).resume()


@pytest.mark.parametrize("other", [{"seed": 2}, {"init_from": "f00d"}])
def test_another_runs_state_is_refused(tmp_path, other):
    trainer(tmp_path).save()
    with pytest.raises(InputError, match=next(iter(other))):
        trainer(tmp_path, replace(PLAN, **other)).resume()


def test_a_step_that_is_not_finite_changes_nothing(tmp_path, monkeypatch):
    run = trainer(tmp_path)
    clip = torch.nn.utils.clip_grad_norm_
    before = []

    def poisoned(parameters, limit):
        if run.step == 3:
            before.append(weights(run))
            parameters[0].grad[0] = float("nan")
        return clip(parameters, limit)

    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", poisoned)
    stop_before(run, 4, lambda: before.append(weights(run)))
    assert run.run(show=False) == "done"
    assert torch.equal(before[0], before[1])
    assert run.n_skipped == 1 and torch.isfinite(weights(run)).all()
    assert [s[0] for s in curve(tmp_path) if s[1] is None] == [4]


def test_many_such_steps_end_the_run_and_keep_the_last_state(tmp_path):
    run = trainer(tmp_path, replace(PLAN, save_minutes=0.0))

    def poison():
        with torch.no_grad():
            next(run.model.parameters()).fill_(float("nan"))

    stop_before(run, 3, poison)
    with pytest.raises(InputError, match=f"not finite {N_SKIPPED_MAX} steps in a row"):
        run.run(show=False)


def test_a_full_disk_on_the_way_is_survived(tmp_path, monkeypatch, capsys):
    run = trainer(tmp_path, replace(PLAN, save_minutes=0.0))
    save = torch.save

    def full(state, path):
        if state["step"] == 5:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    monkeypatch.setattr("torch.save", full)
    stop_before(run, 5, fail)
    with pytest.raises(InterruptedRunError):
        run.run(show=False)
    assert "No space left" in capsys.readouterr().out
    again = trainer(tmp_path)
    assert again.resume() and again.step == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, STATE]


def test_a_full_disk_at_the_end_is_one_line(tmp_path, monkeypatch):
    run = trainer(tmp_path)

    def full(state, path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nmore")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(InputError, match="free some disk space"):
        run.run(show=False)


def test_a_log_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch, capsys):
    run = trainer(tmp_path)

    def full(*_given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("quicksilver.training.run.monitor.append", full)
    assert run.run(show=False) == "done"
    assert "No space left" in capsys.readouterr().out
    assert (tmp_path / STATE).is_file()


def test_out_of_gpu_memory_names_the_setting(tmp_path):
    run = trainer(tmp_path)

    def exhausted():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB")

    stop_before(run, 0, exhausted)
    with pytest.raises(InputError, match="lower --micro-tokens"):
        run.run(show=False)
    with pytest.raises(InputError, match="lower --micro-tokens"):
        run.trial(Passes(copied=lambda *given: exhausted()))


def test_a_trial_leaves_the_weights(tmp_path):
    run = trainer(tmp_path)
    before = weights(run)
    run.trial(AS_WRITTEN)
    assert torch.equal(weights(run), before)
    assert all(p.grad is None for p in run.model.parameters())


def test_the_better_weights_are_exported(tmp_path):
    exported = {}
    run = trainer(tmp_path, export=lambda folder: exported.update({folder.name: weights(run)}))
    run.run(show=False)
    last = weights(run)
    final = run.finish(tmp_path / "first")
    assert final is not None
    better = min((final.last, final.averaged), key=lambda losses: float(losses.total))
    assert better is getattr(final, final.chosen)
    assert torch.equal(weights(run), last)
    with torch.no_grad():  # spoil the other one: now the choice is known
        for average in run.averaged.state_dict().values():
            average.fill_(0.0)
    again = run.finish(tmp_path / "second")
    assert again is not None and again.chosen == "last"
    assert torch.equal(exported["second"], last)


def test_the_average_follows_the_formula(tmp_path):
    run = trainer(tmp_path, replace(PLAN, steps=3, ema_decay=0.5))
    seen = [weights(run)]
    for step in (1, 2):
        stop_before(run, step, lambda: seen.append(weights(run)))
    run.run(show=False)
    seen.append(weights(run))
    expected = seen[0]
    for step, new in enumerate(seen[1:]):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * new
    averaged = torch.cat([average.flatten() for average in run.averaged.state_dict().values()])
    torch.testing.assert_close(averaged, expected)


class Clock:
    """Time that passes only when a test says so, seen by the trainer and its calls."""

    def __init__(self, monkeypatch):
        self.now_s = 1000.0
        for module in ("trainer", "config"):
            monkeypatch.setattr(
                f"quicksilver.training.run.{module}.time", SimpleNamespace(monotonic=lambda: self.now_s)
            )

    def slow(self, function: Any, seconds: float) -> Any:
        """function, taking so many seconds."""

        def slowed(*arguments):
            self.now_s += seconds
            return function(*arguments)

        return slowed


def test_minutes_end_on_time_and_calls_add_up(tmp_path, monkeypatch):
    """A plan of two minutes in two calls: one ends when its time is over, the other when the plan is."""
    clock = Clock(monkeypatch)
    config = replace(PLAN, steps=None, minutes=2.0, valid_steps=0, valid_samples=1)

    def call(minutes):
        clock.now_s += 50  # between the calls
        run = trainer(
            tmp_path, config, call=RunCall(started_s=clock.now_s, minutes=minutes), export=lambda folder: None
        )
        run._train_step = clock.slow(run._train_step, 5.0)
        run.save = clock.slow(run.save, 2.0)
        run.export = clock.slow(run.export, 3.0)
        run.resume()
        return run

    first = call(1.0)
    assert first.run(show=False) == "call over"
    first.finish(tmp_path / "checkpoint")
    took_s = first.elapsed_s
    assert 60 - 5 - first.reserve_s < took_s <= 60
    assert first.reserve_s == pytest.approx(1 + 1.25 * 5)
    second = call(None)
    assert second.step == first.step
    assert second.elapsed_s == pytest.approx(took_s - 3.0)  # all but the export, which came after the save
    assert second.run(show=False) == "done"
    second.finish(tmp_path / "checkpoint")
    assert 110 <= second.elapsed_s <= 120
    assert not (tmp_path / "rehearsal").exists()


@pytest.mark.parametrize(
    ("minutes", "call_minutes", "setting"), [(0.1, None, "--minutes"), (2.0, 0.1, "--call-minutes")]
)
def test_no_time_to_train_is_one_line(tmp_path, monkeypatch, minutes, call_minutes, setting):
    clock = Clock(monkeypatch)
    config = replace(PLAN, steps=None, minutes=minutes, valid_samples=1)
    run = trainer(tmp_path, config, call=RunCall(started_s=clock.now_s, minutes=call_minutes))
    run.save = clock.slow(run.save, 5.0)
    with pytest.raises(InputError, match=f"give more {setting}$"):
        run.run(show=False)


def test_samples_are_written_and_forgotten_with_their_steps(tmp_path):
    holes = draw_holes(DOCUMENTS, TOKENIZER, 9, 40)
    assert len(holes) == 9 and all(len(hole.context) <= 40 for hole in holes)
    assert holes == draw_holes(DOCUMENTS, TOKENIZER, 9, 40)
    run = trainer(tmp_path, replace(PLAN, sample_steps=6), probe=Probe(TOKENIZER, holes))
    run.run(show=False)
    log = [json.loads(line) for line in (tmp_path / SAMPLES).read_text().splitlines()]
    assert [entry["step"] for entry in log] == [6, 12] and log[0]["holes"] == 9
    assert (tmp_path / "samples.md").read_text().index("Step 12") < (tmp_path / "samples.md").read_text().index(
        "Step 6"
    )
    texts = fill(run.model, TOKENIZER, holes)
    assert texts == [fill(run.model, TOKENIZER, [hole])[0] for hole in holes]
    assert Probe(TOKENIZER, holes).exact([hole.truth + " " for hole in holes]) == 9


def test_schedule():
    config = TrainConfig(steps=100, warmup_steps=10, cooldown_share=0.25, stages=((0.0, 512), (0.6, 1024)))
    rates = [config.rate(step, config.done(step, 0.0)) for step in (0, 9, 50, 74, 99)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.04])
    assert [config.n_context(done) for done in (0.0, 0.59, 0.6, 1.0)] == [512, 512, 1024, 1024]
    assert TrainConfig(minutes=2.0).done(5, 60.0) == 0.5
    assert TrainConfig(minutes=2.0).done(5, 60.0, reserve_s=20.0) == 0.6


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"steps": 1, "minutes": 1.0},
        {"steps": 1, "stages": ((0.5, 64),)},
        {"steps": 1, "ema_decay": 1.0},
        {"steps": 1, "batch_tokens": 0},
        {"steps": 1, "micro_tokens": 0},
    ],
)
def test_impossible_plans(bad):
    with pytest.raises(ValueError):
        TrainConfig(**bad)
