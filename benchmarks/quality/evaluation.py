"""Runs decoders over holes, in this process or in several, and reuses what an earlier run has answered.

Owns the processes and what travels between them. Each process loads the model itself, reads a hole's context once for
all decoders, and parses each filled file; only the first process writes to disk.
"""

import multiprocessing
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from ...fim.engine import Infiller
from ...fim.errors import QuicksilverError
from ...fim.models.formats import Dtype, Runtime
from ...model.completion.infiller import DenoisingInfiller
from ...model.load import LoadPlan, kind_of, load_folder
from .answer_log import AnswerLog, Record
from .decoders import CATALOGUE, Attempt, NamedDecoder, read_context
from .holes import Task
from .scores import JudgedAttempt, filling, judge
from .syntax import parses


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a process needs to get its infiller: a checkpoint folder, number format, and what runs the weights. family:
    of a published checkpoint whose folder does not say."""

    model: Path
    dtype: Dtype
    runtime: Runtime = "torch"
    n_threads: int
    family: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationWork:
    """A hole and the names of the decoders that still have to fill it."""

    task: Task
    key: str
    decoders: tuple[str, ...]


def catalogue_of(folder: Path) -> tuple[NamedDecoder, ...]:
    """The decoders of the checkpoint in folder."""
    kind = kind_of(folder)
    if kind == "ours":
        return CATALOGUE
    from .published_decoders import PUBLISHED, RENOISING

    return RENOISING if kind == "renoising" else PUBLISHED


def load(setup: Setup) -> Infiller[Any]:
    """The infiller of a setup, in this process; ours on the CPU. Raises CheckpointError, InputError."""
    import torch

    torch.set_num_threads(setup.n_threads)
    is_own = kind_of(setup.model) == "ours"
    plan = LoadPlan(
        device="cpu" if is_own else None, runtime=setup.runtime if is_own else None, dtype=setup.dtype,
        family=setup.family,
    )  # fmt: skip
    return load_folder(setup.model, setup.n_threads, plan)


def fill(
    infiller: Infiller[Any],
    work: Sequence[EvaluationWork],
    by: str,
    catalogue: Sequence[NamedDecoder] = CATALOGUE,
) -> Generator[list[Record]]:
    """The answers to one hole after the other."""
    named = {decoder.name: decoder for decoder in catalogue}
    wanted = {name for each in work for name in each.decoders}
    decoders = {name: named[name].make(infiller) for name in wanted}
    for each in work:
        is_read_once = isinstance(infiller, DenoisingInfiller)  # published models read it as they are asked
        if is_read_once and any(named[name].family != "floor" for name in each.decoders):
            read_context(infiller, each.task)
        did_parse = parses(each.task.prefix + each.task.truth + each.task.suffix)
        seen: dict[str, bool] = {each.task.truth: True}
        records: list[Record] = []
        for name in each.decoders:
            answer = decoders[name](each.task)
            valid = _parses_filled(each.task, answer, seen) if did_parse else None
            records.append(Record(by, name, each.key, answer, valid))
        yield records


def _parses_filled(task: Task, answer: Attempt, seen: dict[str, bool]) -> bool:
    """Whether the file parses with the answer in it; seen remembers by filling, as decoders often agree."""
    text = filling(task, answer)
    if text not in seen:
        seen[text] = parses(task.prefix + text + task.suffix)
    return seen[text]


def filler_of(
    setup: Setup, n_workers: int
) -> tuple[Callable[..., Generator[list[Record]]], Mapping[str, str | int | float]]:
    """A function that fills holes, in this process or in n_workers others, and the model's facts, its name too."""
    infiller = load(setup)
    facts = {"name": infiller.name, **infiller.describe()}
    if n_workers == 1:
        return partial(fill, infiller, catalogue=catalogue_of(setup.model)), facts

    def share_out(work: Sequence[EvaluationWork], by: str) -> Generator[list[Record]]:
        return fill_in_processes(setup, work, by, n_workers)

    return share_out, facts


def fill_in_processes(setup: Setup, work: Sequence[EvaluationWork], by: str, n_workers: int) -> Generator[list[Record]]:
    """As `fill`, shared out over n_workers processes, in the order in which answers come.

    Raises what a worker raised, and QuicksilverError when one died. Closing the iterator ends the workers.
    """
    context = multiprocessing.get_context("spawn")  # forking a process that has run torch may hang
    processes: list[SpawnProcess] = []
    open_ends: list[Connection] = []
    try:
        for i in range(n_workers):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(setup, work[i::n_workers], by, theirs), daemon=True)
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            processes.append(process)
            open_ends.append(ours)
        while open_ends:
            for end in wait(open_ends):
                assert isinstance(end, Connection)
                received = _receive(end)
                if received is None:
                    open_ends.remove(end)
                else:
                    yield received
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _receive(end: Connection) -> list[Record] | None:
    """The next answers of a worker; None when it has finished."""
    try:
        received = end.recv()
    except (EOFError, OSError):
        raise QuicksilverError(
            "a worker process died (out of memory?): try fewer --workers; with --resume nothing is lost"
        ) from None
    if isinstance(received, Exception):
        raise received
    return received


def _serve(setup: Setup, work: Sequence[EvaluationWork], by: str, end: Connection) -> None:
    """The work of a worker process: sends records, then None; or the error that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the first process, which ends the others
    try:
        for records in fill(load(setup), work, by, catalogue_of(setup.model)):
            end.send(records)
        end.send(None)
    except BrokenPipeError:
        pass  # the first process was killed: there is no reader
    except Exception as error:  # of any kind: the first process raises it
        end.send(error)


def evaluate(
    tasks: Sequence[Task],
    decoders: Sequence[NamedDecoder],
    log: AnswerLog,
    by: str,
    filler: Callable[[Sequence[EvaluationWork]], Generator[list[Record]]],
    advance: Callable[[], None],
) -> dict[str, list[JudgedAttempt]]:
    """Judged answers of every decoder (by name) to every task, in their order.

    Asks filler only for what log lacks, and keeps each answer there; advance is called once a task.
    """
    keys = [task.key() for task in tasks]
    missing = [tuple(d.name for d in decoders if log.find(by, d.name, key) is None) for key in keys]
    work = {  # a hole that was drawn twice is filled once
        key: EvaluationWork(task=task, key=key, decoders=names)
        for task, key, names in zip(tasks, keys, missing, strict=True)
        if names
    }
    for _ in range(len(tasks) - len(work)):
        advance()
    if work:
        with closing(filler(list(work.values()))) as answers:
            for records in answers:
                log.add(records)
                advance()
    return {decoder.name: [_judged(log, by, decoder.name, *pair) for pair in zip(tasks, keys, strict=True)]
            for decoder in decoders}  # fmt: skip


def _judged(log: AnswerLog, by: str, decoder: str, task: Task, key: str) -> JudgedAttempt:
    record = log.find(by, decoder, key)
    assert record is not None
    return judge(task, record.answer, record.parses)
