"""The queue before the model: order, limits, cancellation, failures."""

import asyncio
import threading
from dataclasses import replace

import pytest
from quicksilver.fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError
from quicksilver.fim.types import Completion
from quicksilver.serving.worker import EngineStopping, Worker


class GatedInfiller:
    """Runs until its gate opens or the request is cancelled; remembers what it saw."""

    name = "gated"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started: list[str] = []
        self.ended: list[str] = []
        self.budgets: list[float | None] = []
        self.begun = threading.Event()

    def describe(self):
        return {"device": "none"}

    def complete(self, request, is_cancelled):
        prefix = request.hole.prefix
        self.started.append(prefix)
        self.budgets.append(request.budget_ms)
        self.begun.set()
        if prefix == "input":
            raise InputError("no")
        if prefix == "bug":
            raise RuntimeError(request.hole.suffix)
        while not self.gate.wait(0.005):
            if is_cancelled():
                self.ended.append(f"cancelled {prefix}")
                break
        else:
            self.ended.append(f"done {prefix}")
        reason = "cancelled" if is_cancelled() else "stop"
        return Completion(
            text=prefix, range=(0, 0), confidence=1.0, finish_reason=reason, steps=1, n_tokens=1, model="gated",
            timings_ms={"engine": 2.0},
        )  # fmt: skip


@pytest.fixture
def infiller():
    return GatedInfiller()


@pytest.fixture
def worker(infiller):
    worker = Worker(lambda: infiller, max_queued=2)
    worker.start()
    yield worker
    worker.stop()
    assert worker.join(5)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_answers_in_order_with_queue_time(worker, infiller, ask):
    first = asyncio.create_task(worker.complete(ask("a")))
    await until(infiller.begun.is_set)
    second = asyncio.create_task(worker.complete(ask("b")))
    await until(lambda: worker.n_jobs == 2)
    await asyncio.sleep(0.03)
    assert worker.idle_s() == 0
    infiller.gate.set()
    answers = [await first, await second]
    assert [answer.text for answer in answers] == ["a", "b"]
    assert answers[1].timings_ms["queue"] >= 30
    assert answers[1].timings_ms["engine"] == 2.0
    await until(lambda: worker.n_jobs == 0)
    assert worker.idle_s() < 5


async def test_queue_is_bounded(worker, infiller, ask):
    running = asyncio.create_task(worker.complete(ask("running")))
    await until(infiller.begun.is_set)
    waiting = [asyncio.create_task(worker.complete(ask(f"w{i}"))) for i in range(2)]
    await until(lambda: worker.n_jobs == 3)
    with pytest.raises(EngineBusy):
        await worker.complete(ask("one too many"))
    waiting[0].cancel()
    await until(lambda: worker.n_jobs == 2)
    replacement = asyncio.create_task(worker.complete(ask("now there is room")))
    infiller.gate.set()
    await asyncio.gather(running, waiting[1], replacement)
    assert infiller.started == ["running", "w1", "now there is room"]


async def test_cancelling_stops_a_running_job_and_drops_a_waiting_one(worker, infiller, ask):
    running = asyncio.create_task(worker.complete(ask("running")))
    await until(infiller.begun.is_set)
    waiting = asyncio.create_task(worker.complete(ask("waiting")))
    await until(lambda: worker.n_jobs == 2)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    await until(lambda: worker.n_jobs == 0)
    assert infiller.started == ["running"]
    assert infiller.ended == ["cancelled running"]


async def test_one_failure_does_not_end_the_worker(worker, infiller, ask, caplog):
    infiller.gate.set()
    with pytest.raises(InputError, match="no"):
        await worker.complete(ask("input"))
    with pytest.raises(EngineError) as caught:
        await worker.complete(ask("bug", "secret text"))
    assert "RuntimeError" in str(caught.value)
    assert "secret" not in str(caught.value) + caplog.text
    assert "in complete" in caplog.text  # the traceback
    assert (await worker.complete(ask("fine"))).text == "fine"


async def test_waits_for_loading_and_loading_costs_no_budget(infiller, ask):
    may_load = threading.Event()

    def load():
        may_load.wait(10)
        return infiller

    worker = Worker(load)
    worker.start()
    answer = asyncio.create_task(worker.complete(replace(ask("early"), budget_ms=80.0)))
    await asyncio.sleep(0.1)
    assert worker.state.status == "loading"
    assert not answer.done()
    infiller.gate.set()
    may_load.set()
    assert (await answer).timings_ms["queue"] >= 100
    assert (worker.state.status, worker.state.model) == ("ready", "gated")
    assert infiller.budgets[0] is not None
    assert 40 < infiller.budgets[0] <= 80
    worker.stop()
    assert worker.join(5)


async def test_waiting_for_another_job_costs_budget(worker, infiller, ask):
    first = asyncio.create_task(worker.complete(ask("first")))
    await until(infiller.begun.is_set)
    second = asyncio.create_task(worker.complete(replace(ask("second"), budget_ms=20.0)))
    await asyncio.sleep(0.05)
    infiller.gate.set()
    await asyncio.gather(first, second)
    assert infiller.budgets == [None, 0.0]


@pytest.mark.parametrize(
    ("error", "reason", "status", "told"),
    [
        (CheckpointError("wrong hash:\n retrain"), "wrong hash: retrain", "refused", CheckpointError),
        (OSError("disk"), "the model cannot be loaded (OSError: disk)", "failed", EngineUnavailable),
    ],
)
async def test_failed_load_is_told_to_all(error, reason, status, told, ask):
    may_load = threading.Event()

    def load():
        may_load.wait(10)
        raise error

    worker = Worker(load)
    worker.start()
    waiting = asyncio.create_task(worker.complete(ask()))
    await until(lambda: worker.n_jobs == 1)
    may_load.set()
    with pytest.raises(told) as caught:
        await waiting
    assert str(caught.value) == worker.state.reason == reason
    with pytest.raises(told):
        await worker.complete(ask())
    assert worker.state.status == status
    assert worker.join(5)


async def test_stopping_turns_everybody_down(worker, infiller, ask):
    running = asyncio.create_task(worker.complete(ask("running")))
    await until(infiller.begun.is_set)
    waiting = asyncio.create_task(worker.complete(ask("waiting")))
    await until(lambda: worker.n_jobs == 2)
    worker.stop()
    for task in (running, waiting):
        with pytest.raises(EngineStopping):
            await task
    with pytest.raises(EngineStopping):
        await worker.complete(ask("late"))
    assert infiller.started == ["running"]
