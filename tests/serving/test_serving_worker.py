"""The queue before the model: order, limits, cancellation, failures."""

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from quicksilver.fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError
from quicksilver.fim.types import AnswerProgress, Completion
from quicksilver.serving.engine.queue import Job, Pace, WaitingRoom
from quicksilver.serving.engine.worker import Worker
from quicksilver.serving.engine.worker_state import EngineStopping


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

    def begin(self, request, is_cancelled, watch=None):
        return SimpleNamespace(request=request, is_cancelled=is_cancelled, completion=None, error=None)

    def advance(self, jobs, n_waiting=0):
        for job in jobs:
            try:
                job.completion = self.complete(job.request, job.is_cancelled)
            except Exception as error:
                job.error = error

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
    worker = Worker(lambda: infiller, max_queued=2, n_slots=1)
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
    second = asyncio.create_task(worker.complete(replace(ask("second"), budget_ms=10_000.0)))
    await asyncio.sleep(0.05)
    infiller.gate.set()
    await asyncio.gather(first, second)
    assert infiller.budgets[0] is None
    assert infiller.budgets[1] is not None
    assert infiller.budgets[1] <= 9_960


async def test_an_expired_job_is_answered_without_being_run(worker, infiller, ask):
    first = asyncio.create_task(worker.complete(ask("first")))
    await until(infiller.begun.is_set)
    expired = asyncio.create_task(worker.complete(replace(ask("expired"), budget_ms=20.0)))
    await asyncio.sleep(0.05)
    infiller.gate.set()
    answer = await expired
    await first
    assert infiller.started == ["first"]
    assert (answer.text, answer.finish_reason, answer.steps, answer.range) == ("", "budget", 0, (7, 7))
    assert answer.timings_ms["queue"] >= 20
    assert (await worker.complete(replace(ask("next"), budget_ms=10_000.0))).text == "next"


async def test_no_budget_is_answered_at_once(worker, infiller, ask):
    running = asyncio.create_task(worker.complete(ask("running")))
    await until(infiller.begun.is_set)
    async with asyncio.timeout(10):
        answer = await worker.complete(replace(ask("none"), budget_ms=0.0))
    assert (answer.text, answer.finish_reason) == ("", "budget")
    infiller.gate.set()
    await running
    assert infiller.started == ["running"]


async def test_a_budget_shorter_than_the_wait_is_refused(slots, stepping, ask):
    slots._pace.job_s = 2.0  # what the last answers took
    busy = await begin_all(slots, [ask("busy", "1")])
    await until(lambda: slots._running)
    waiting = [asyncio.create_task(slots.complete(ask(f"w{i}", "1", budget_ms=9_000.0))) for i in range(2)]
    await until(lambda: slots.n_jobs == 3)
    with pytest.raises(EngineBusy, match="the wait is about 1000 ms"):  # it would go first: half of what runs
        await slots.complete(ask("hurried", "1", budget_ms=900.0))
    slots._pace.job_s = 4.0
    with pytest.raises(EngineBusy, match="the wait is about 10000 ms"):
        await slots.complete(ask("late", "1", budget_ms=9_900.0))
    patient = asyncio.create_task(slots.complete(ask("patient", "1")))
    stepping.gate.set()
    answers = await asyncio.gather(*busy, *waiting, patient)
    assert [answer.text for answer in answers] == ["busy", "w0", "w1", "patient"]


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


class SteppingInfiller:
    """Every job takes as many forwards as its suffix has characters; remembers who was in each forward."""

    name = "stepping"

    def __init__(self) -> None:
        self.forwards: list[list[str]] = []
        self.gate = threading.Event()
        self.limit = 99

    def describe(self):
        return {}

    def begin(self, request, is_cancelled, watch=None):
        if request.hole.prefix == "unusable":
            raise InputError("no")
        return SimpleNamespace(
            request=request, is_cancelled=is_cancelled, watch=watch, n=0, completion=None, error=None
        )

    def advance(self, jobs, n_waiting=0):
        self.gate.wait(10)
        names = [job.request.hole.prefix for job in jobs]
        if len(jobs) > self.limit or "poison" in names:
            raise MemoryError("too many")
        self.forwards.append(names)
        for job in jobs:
            job.n += 1
            is_cancelled = job.is_cancelled()
            if job.watch:
                job.watch(AnswerProgress(settled=job.request.hole.suffix[: job.n], steps=job.n))
            if is_cancelled or job.n == len(job.request.hole.suffix):
                job.completion = Completion(
                    text=job.request.hole.prefix, range=(0, 0), confidence=1.0,
                    finish_reason="cancelled" if is_cancelled else "stop", steps=job.n, n_tokens=1, model="stepping",
                )  # fmt: skip


@pytest.fixture
def stepping():
    return SteppingInfiller()


@pytest.fixture
def slots(stepping):
    worker = Worker(lambda: stepping, max_queued=9, n_slots=3)
    worker.start()
    yield worker
    worker.stop()
    assert worker.join(5)


async def begin_all(worker, requests):
    tasks = [asyncio.create_task(worker.complete(request)) for request in requests]
    await until(lambda: worker.n_jobs == len(tasks))
    return tasks


async def test_jobs_share_forwards_and_slots_are_filled_between_them(slots, stepping, ask):
    tasks = await begin_all(slots, [ask("a", "12"), ask("b", "1234"), ask("c", "123"), ask("d", "12")])
    stepping.gate.set()
    assert [task.steps for task in await asyncio.gather(*tasks)] == [2, 4, 3, 2]
    met = stepping.forwards[1:]  # whoever came first may have begun alone
    assert all(len(names) <= 3 for names in met)
    assert any(len(names) == 3 for names in met)
    assert sum(map(len, stepping.forwards)) == 11
    assert any("b" in names and "d" in names for names in met)  # d joined while b was under way


async def test_documents_take_turns_and_deadlines_count(slots, stepping, ask):
    def of(name, path, budget_ms=None):
        return replace(ask(name, "1"), path=path, budget_ms=budget_ms)

    busy = await begin_all(slots, [of("busy", "x.py")])
    await until(lambda: slots._running)
    waiting = [of(f"x{i}", "x.py") for i in range(3)] + [of("y", "y.py"), of("hurried", "x.py", 60_000)]
    rest = [asyncio.create_task(slots.complete(request)) for request in waiting]
    await until(lambda: slots.n_jobs == 6)
    stepping.gate.set()
    await asyncio.gather(*busy, *rest)
    assert stepping.forwards[1:] == [["hurried", "y", "x0"], ["x1", "x2"]]


async def test_reading_ahead_waits_for_those_who_want_an_answer(slots, stepping, ask):
    ahead = replace(ask("ahead", "1"), path="z.py", warms=True, budget_ms=30_000.0)
    busy = await begin_all(slots, [ask("busy", "1")])
    await until(lambda: slots._running)
    rest = [asyncio.create_task(slots.complete(request)) for request in [ahead, *(ask(f"x{i}", "1") for i in range(3))]]
    await until(lambda: slots.n_jobs == 5)
    with pytest.raises(EngineBusy):
        await slots.complete(ahead)  # others wait
    stepping.gate.set()
    await asyncio.gather(*busy, *rest)
    assert stepping.forwards[1:] == [["x0", "x1", "x2"], ["ahead"]]


async def test_a_forward_that_fails_together_is_done_one_by_one(slots, stepping, ask):
    stepping.limit = 1
    tasks = await begin_all(slots, [ask("a", "12"), ask("b", "1"), ask("poison", "1")])
    stepping.gate.set()
    with pytest.raises(EngineError):
        await tasks[2]
    assert [(await task).text for task in tasks[:2]] == ["a", "b"]
    assert (await slots.complete(ask("after", "1"))).text == "after"


async def test_an_unusable_request_leaves_the_others_alone(slots, stepping, ask):
    tasks = await begin_all(slots, [ask("a", "12"), ask("b", "1")])
    refused = asyncio.create_task(slots.complete(ask("unusable", "1")))
    stepping.gate.set()
    with pytest.raises(InputError):
        await refused
    assert [task.text for task in await asyncio.gather(*tasks)] == ["a", "b"]


async def test_a_cancelled_job_frees_its_slot_within_a_forward(slots, stepping, ask):
    endless = await begin_all(slots, [ask(name, "1" * 10_000) for name in "abc"])
    stepping.gate.set()
    await until(lambda: len(stepping.forwards) > 3)
    for task in endless:
        task.cancel()
    assert (await slots.complete(ask("next", "1"))).text == "next"
    await until(lambda: slots.n_jobs == 0)
    assert len(stepping.forwards) < 10_000


class Panic(BaseException):
    """What a native library raises that gives up: no Exception."""


@pytest.mark.parametrize("place", ["describe", "begin", "advance"])
@pytest.mark.parametrize("error", [Panic("gone"), SystemExit(3)])
async def test_a_thread_that_dies_turns_everybody_down(stepping, ask, monkeypatch, place, error, caplog):
    def die(*_):
        raise error

    monkeypatch.setattr(stepping, place, die)
    worker = Worker(lambda: stepping)
    worker.start()
    async with asyncio.timeout(10):
        with pytest.raises(EngineUnavailable, match=type(error).__name__):
            await worker.complete(ask("a", "1"))
        with pytest.raises(EngineUnavailable, match=type(error).__name__):
            await worker.complete(ask("b", "1"))
    assert worker.state.status == "failed"
    assert worker.n_jobs == 0
    assert worker.join(5)
    assert "in die" in caplog.text


async def test_a_thread_that_vanished_is_noticed(stepping, monkeypatch):
    worker = Worker(lambda: stepping)
    assert not worker.has_died()  # not begun
    monkeypatch.setattr(worker, "_run", lambda: None)
    worker._thread = threading.Thread(target=worker._run)
    worker.start()
    assert worker.join(5)
    assert worker.has_died()


async def test_the_next_key_is_not_refused_for_the_one_it_cancelled(slots, stepping, ask):
    slots._pace.job_s = 30.0  # half of it is longer than the budget below
    typed = await begin_all(slots, [ask("first", "1" * 10_000, budget_ms=60_000.0)])
    await until(lambda: slots._running)
    typed[0].cancel()
    await asyncio.gather(*typed, return_exceptions=True)
    assert slots.n_jobs == 1  # it ends with its step, which the gate holds up
    second = asyncio.create_task(slots.complete(ask("second", "1", budget_ms=10_000.0)))
    await until(lambda: slots.n_jobs == 2)
    stepping.gate.set()
    assert (await second).text == "second"


async def test_nobody_joins_who_would_make_another_late(slots, stepping, ask):
    slots._pace.job_s = 1.0
    first = await begin_all(slots, [ask("first", "12", budget_ms=1_500.0)])
    await until(lambda: slots._running)
    second = asyncio.create_task(slots.complete(ask("second", "1", budget_ms=60_000.0)))
    await until(lambda: slots.n_jobs == 2)
    stepping.gate.set()
    await asyncio.gather(*first, second)
    assert stepping.forwards == [["first"], ["first"], ["second"]]


def test_pace_is_an_average_and_what_was_cut_short_only_raises_it(ask):
    pace = Pace()
    for work_s in (1.0, 2.0):
        pace.note(Job(request=ask("a"), work_s=work_s), was_cut=False)
    assert pace.job_s == pytest.approx(1.2)
    pace.note(Job(request=ask("a"), work_s=0.5), was_cut=True)
    assert pace.job_s == pytest.approx(1.2)
    pace.note(Job(request=ask("a"), work_s=2.2), was_cut=True)
    assert pace.job_s == pytest.approx(1.4)


def test_who_can_be_in_time_goes_first(ask):
    room = WaitingRoom(9)
    for name, budget_ms in (("late", 100.0), ("in time", 5_000.0), ("whenever", None), ("soon", 2_000.0)):
        room.add(Job(request=ask(name, budget_ms=budget_ms), received_s=0.0))
    assert [job.request.hole.prefix for job in room.take_expired(0.2)] == ["late"]
    order = []
    while len(room):
        job = room.next([], in_time_s=3.0)
        room.leave(job)
        order.append(job.request.hole.prefix)
    assert order == ["in time", "whenever", "soon"]


async def test_a_stream_tells_what_is_settled_and_ends_with_the_completion(slots, stepping, ask):
    stepping.gate.set()
    events = [event async for event in slots.stream(ask("a", "123"))]
    assert isinstance(events[-1], Completion) and events[-1].steps == 3
    settled = [event.settled for event in events[:-1] if isinstance(event, AnswerProgress)]
    assert settled == sorted(settled) and settled[-1] == "123" and len(settled) == len(events) - 1


async def test_closing_a_stream_ends_its_job_within_a_step(slots, stepping, ask):
    stepping.gate.set()
    stream = slots.stream(ask("a", "1" * 100_000))
    assert isinstance(await anext(stream), AnswerProgress)
    await stream.aclose()
    n_forwards = len(stepping.forwards)
    await until(lambda: not slots.n_jobs)
    assert len(stepping.forwards) <= n_forwards + 2


async def test_a_stream_that_nobody_reads_keeps_the_newest_progress_alone(slots, stepping, ask):
    stepping.gate.set()
    stream = slots.stream(ask("a", "1" * 5_000))
    await anext(stream)
    await until(lambda: not slots.n_jobs)
    await asyncio.sleep(0.01)
    rest = [event async for event in stream]
    assert [type(event) for event in rest] == [AnswerProgress, Completion]
    assert rest[0].settled == "1" * 5_000


async def test_a_stream_is_refused_like_any_request(slots, stepping, ask):
    stepping.gate.set()
    with pytest.raises(InputError, match="no"):
        await anext(slots.stream(ask("unusable", "1")))
    assert [event.finish_reason async for event in slots.stream(ask("a", "1", budget_ms=0))] == ["budget"]
