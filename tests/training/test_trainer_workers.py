import os
import signal
from functools import partial

import numpy as np
import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.documents import open_stream
from quicksilver.training.data.samples import SampleConfig, SampleStream
from quicksilver.training.data.workers import BatchOrder, InProcess, Workers
from tiny import TEXTS, tiny_tokenizer

CONFIG = SampleConfig(n_context=48, n_canvas=8)


def order(step, index=0, n_context=48, size=2):
    return BatchOrder(seed=1, step=step, index=index, n_context=n_context, size=size)


@pytest.fixture
def opener(tmp_path):
    """A corpus on the disk and what opens it in another process."""
    import gzip
    import json

    (tmp_path / "corpus").mkdir()
    with gzip.open(tmp_path / "corpus" / "train.jsonl.gz", "wt") as stream:
        stream.write(json.dumps({"package": "p", "path": "a.py", "text": (TEXTS[0] + TEXTS[1]) * 6}) + "\n")
    tiny_tokenizer().save(tmp_path / "tokenizer.json")
    return partial(open_stream, tmp_path, "nano", "train", tmp_path / "tokenizer.json", CONFIG)


def test_workers_draw_what_this_process_would(opener):
    orders = [order(step, index, n_context) for step in range(4) for index in (0, 1) for n_context in (48, 64)]
    here, there = InProcess(opener()), Workers(opener, 2)
    try:
        for source in (here, there):
            for each in orders:
                source.ask(each)
        first = [(here.take(), there.take()) for _ in orders]
    finally:
        there.close()
    for one, other in first:
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True):
            assert (a == b).all()
    assert len({batch.tokens.tobytes() for batch, _ in first}) == len(orders)  # no two orders draw the same


def test_an_error_in_a_worker_is_one_line(opener):
    workers = Workers(opener, 1)
    try:
        workers.ask(order(0, n_context=-5))
        with pytest.raises(InputError, match="a sampling worker failed: ") as error:
            workers.take()
        assert "\n" not in str(error.value)
    finally:
        workers.close()


def test_a_killed_worker_is_one_line(opener):
    workers = Workers(opener, 1)
    try:
        workers.ask(order(0))
        workers.take()
        (process,) = workers._pool._processes.values()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with pytest.raises(InputError, match="a sampling worker died"):
            workers.ask(order(1))
            workers.take()
    finally:
        workers.close()


def test_a_missing_corpus_shows_in_the_trainer(tmp_path):
    tiny_tokenizer().save(tmp_path / "tokenizer.json")
    workers = Workers(partial(open_stream, tmp_path, "nano", "train", tmp_path / "tokenizer.json", CONFIG), 1)
    try:
        workers.ask(order(0))
        with pytest.raises(InputError, match="could not open the corpus"):
            workers.take()
    finally:
        workers.close()


def test_orders_left_open_do_not_hinder_closing(opener):
    workers = Workers(opener, 1)
    for step in range(50):
        workers.ask(order(step, size=64))
    workers.take()
    workers.close()
    assert not workers._pool._processes


def test_in_process_keeps_the_order():
    stream = SampleStream([CorpusDocument("p", "a.py", TEXTS[0] * 6)], tiny_tokenizer(), CONFIG)
    source = InProcess(stream)
    for step in (3, 1, 2):
        source.ask(order(step))
    for step in (3, 1, 2):
        alone = stream.batch(np.random.default_rng((1, step, 0)), 2)
        assert (source.take().tokens == alone.tokens).all()
