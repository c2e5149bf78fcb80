"""How fast a loaded model is on this machine: a warm key, and reading a cold context.

A warm key is what a person who types waits for. With a published body: two new tokens are read with a guess behind
them, then two more are written, one a forward. With a denoiser: a canvas of 16 tokens, in three steps. Knows models,
and no file.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import psutil

from ...fim.models.speeds import MOST_KEY_MS, ModelSpeed
from ..completion.infiller import MOST_ON_CPU, DenoisingInfiller
from ..config import DenoiserConfig
from ..decoding.continuation import N_READ_FEW
from ..network.states import ContextStates, join_states, truncate
from ..requests import Context, Extend, Extended, Rows
from ..runners.drive import Runner
from ..special_tokens import Special

N_READ = 512  # tokens of the context
N_KEYS = 3  # of which the median counts
N_ROUNDS = 2  # while they are too slow: another program may have been busy
MOST_S = 2.0  # then no further round is begun
N_TYPED, N_WRITTEN = 2, 2
N_CANVAS, N_STEPS = 16, 3
COLD_READ_MS = 1000.0  # for a whole context, where a person has jumped
FEWEST_ON_CPU = 384
WINDOW_UNIT = 64
_TEXT = "def area(width, height):\n    return width * height\n\n\n"


def measure_speed(infiller: DenoisingInfiller) -> ModelSpeed:
    """Measure a model, which takes about as long as ten of its keys and a context. Its cache stays as it is."""
    states, token_ms = _read(infiller)
    key = partial(_fill if infiller.config.canvases else _extend, infiller, states)
    key()  # runtimes compile what they have not seen
    key_ms, until_s = float("inf"), time.monotonic() + MOST_S
    for _ in range(N_ROUNDS):
        key_ms = min(key_ms, statistics.median(_ms(key) for _ in range(N_KEYS)))
        if key_ms <= MOST_KEY_MS or time.monotonic() > until_s:
            break
    return ModelSpeed(
        model=infiller.name,
        device=infiller.loaded.device.partition(":")[0],
        key_ms=round(key_ms, 1),
        token_ms=round(token_ms, 4),
        resident_mb=round(psutil.Process().memory_info().rss / 1e6),
        measured_s=round(time.time()),
    )


def window(config: DenoiserConfig, speed: ModelSpeed) -> int:
    """Tokens of context and answer of a body: as many as are read in a second, within bounds on a CPU."""
    n_read = int(COLD_READ_MS / max(speed.token_ms, 1e-6)) // WINDOW_UNIT * WINDOW_UNIT
    if speed.device == "cpu":
        n_read = min(max(n_read, FEWEST_ON_CPU), MOST_ON_CPU)
    return min(max(n_read, FEWEST_ON_CPU), config.n_context_scaled)


def _read(infiller: DenoisingInfiller) -> tuple[ContextStates, float]:
    """States of a context, and milliseconds a token of its second half: the first one is slow where things compile."""
    n = min(N_READ, infiller.config.n_context - N_CANVAS)
    ids = infiller.tokenizer.encode(_TEXT * N_READ)[:n]
    tokens, half = np.array([ids]), n // 2
    first, second = tokens[:, :half], tokens[:, half:]
    past = _states(infiller.run, Context(first, None))
    start_s = time.perf_counter()
    new = _states(infiller.run, Context(second, past))
    ms = 1000 * (time.perf_counter() - start_s)
    return join_states(past, new), ms / second.shape[1]


def _states(run: Runner, ask: Context) -> ContextStates:
    (reply,) = run([ask])
    assert isinstance(reply, ContextStates)
    int(reply.tokens[0, -1])  # a GPU is waited for
    return reply


def _extend(infiller: DenoisingInfiller, states: ContextStates) -> None:
    ids = infiller.tokenizer.encode(_TEXT)
    new, n_right = tuple(ids[:N_READ_FEW]), N_TYPED  # the guess is wrong
    for _ in range(1 + N_WRITTEN):
        (reply,) = infiller.run([Extend(new, states)])
        assert isinstance(reply, Extended)
        new, states = (
            (int(reply.log_probs[n_right - 1].argmax()),),
            join_states(states, truncate(reply.states, n_right)),
        )
        n_right = 1


def _fill(infiller: DenoisingInfiller, states: ContextStates) -> None:
    canvas = np.full((1, N_CANVAS), infiller.tokenizer.special(Special.MASK))
    for _ in range(N_STEPS):
        (reply,) = infiller.run([Rows(canvas, states)])
        assert isinstance(reply, np.ndarray)


def _ms(call: Callable[[], None]) -> float:
    start_s = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start_s)
