"""When a new suggestion may appear: not before it has been wanted for a moment.

While a person types at speed, each key can bring another guess, and a text that changes with every key is worse than
none. A new text is held back until `settle_ms` have passed since the question that it first answered. Keys that agree
with it do not start that time anew, and what continues the text on the screen is never held back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from .answers import Answer, LastShown
from .ghost_text import last_shown, left_of
from .question import Question

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Held:
    """A text that has not appeared yet, and since when (seconds) it has been wanted."""

    text: LastShown
    since_s: float


@dataclass(frozen=True)
class SettleClock:
    """Seconds of a monotonic clock, and a sleep that agrees with it."""

    now_s: Callable[[], float] = time.perf_counter
    sleep: Sleep = asyncio.sleep


def hold(ask: Question, answer: Answer, shown: LastShown | None, held: Held | None, asked_s: float) -> Held | None:
    """What of an answer must be held back; None if it may appear at once.

    shown is the text on the screen, held the one that an earlier question left waiting; asked_s is when this question
    came. Invoked answers, and answers
    that were known before the question, appear at once.
    """
    if ask.invoked or not answer.text or left_of(shown, ask) == answer.text:
        return None
    if held is not None and left_of(held.text, ask) == answer.text:
        return held
    if answer.is_reused:
        return None
    text = last_shown(ask, answer, None)
    return None if text is None else Held(text, asked_s)


async def settle(answer: Answer, held: Held, settle_ms: float, clock: SettleClock) -> Answer:
    """The answer once its text has been wanted for settle_ms; its timings tell how long it was held back."""
    wait_s = held.since_s + settle_ms / 1000 - clock.now_s()
    if wait_s <= 0:
        return answer
    await clock.sleep(wait_s)
    timings = dict(answer.timings_ms)
    timings["settle"] = 1000 * wait_s
    timings["total"] = timings.get("total", 0.0) + 1000 * wait_s
    return replace(answer, timings_ms=timings)
