"""One block typed by one person with one source of ghost text: the events, in order of time.

Owns the race between the next key and the ghost text. In discrete time clocks jump; in real time the same loop sleeps.
An editor keeps ghost text while what is typed agrees with it, until the next answer says otherwise.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Protocol

from .blocks import TypedBlock
from .offers import Late, OfferReply, TextSource
from .typist import ACCEPT_MS, FLICKER_MS, Decision, Typist, n_equal

INVOKED_MS = 1000.0  # that a text on request is said to be on show: whoever asks for it reads it


@dataclass(kw_only=True)
class ShownText:
    """Ghost text from coming up to going away: where it began, what it said, and what became of it.

    text is all of it as it first came up at target[at]; n_right of its characters are what was to be written. ends:
    "accepted" (n_accepted characters of the block came from it), "typed" (the person wrote just that), "gone".
    """

    at: int
    text: str
    n_right: int
    from_ms: float
    to_ms: float = 0.0
    ends: str = "gone"
    n_accepted: int = 0
    source: str = ""
    confidence: float | None = None

    @property
    def visible_ms(self) -> float:
        """How long it could be seen."""
        return self.to_ms - self.from_ms

    @property
    def is_right(self) -> bool:
        """Whether all of it was to be written."""
        return self.n_right == len(self.text)

    @property
    def flickers(self) -> bool:
        """Whether it was gone before anybody could read it, and not because it was typed or accepted."""
        return self.ends == "gone" and self.visible_ms < FLICKER_MS


@dataclass(kw_only=True)
class BlockRun:
    """What happened to one block. answers has every question's outcome, in order; plain_ms is typing without help.

    decided names the rules that decided anything (discrete time; see `deciding`).
    """

    block: TypedBlock
    shown: list[ShownText] = field(default_factory=list)
    answers: list[OfferReply | Late] = field(default_factory=list)
    n_presses: int = 0
    n_chars_saved: int = 0
    total_ms: float = 0.0
    plain_ms: float = 0.0
    decided: frozenset[str] = frozenset()


class Clock(Protocol):
    """Time in milliseconds, and waiting for it."""

    def now_ms(self) -> float:
        """The time."""
        ...

    async def until(self, at_ms: float) -> None:
        """Wait until then, at least."""
        ...


class DiscreteClock:
    """Jumps."""

    def __init__(self) -> None:
        self._now_ms = 0.0

    def now_ms(self) -> float:
        """The time."""
        return self._now_ms

    async def until(self, at_ms: float) -> None:
        """Be there."""
        self._now_ms = max(self._now_ms, at_ms)


class WallClock:
    """Sleeps."""

    def now_ms(self) -> float:
        """The time."""
        return 1000 * time.perf_counter()

    async def until(self, at_ms: float) -> None:
        """Sleep until then."""
        await asyncio.sleep(max(0.0, at_ms - self.now_ms()) / 1000)


class BlockReplay:
    """The replay of one block."""

    def __init__(self, block: TypedBlock, typist: Typist, source: TextSource, clock: Clock) -> None:
        self._block, self._typist, self._source, self._clock = block, typist, source, clock
        self._run = BlockRun(block=block)
        self._at = 0
        self._now: ShownText | None = None  # what is visible or about to be
        self._reply: OfferReply | None = None
        self._rest = ""  # what of it is still grey
        self._decides_ms = float("inf")
        self._disturbed_ms = 0.0  # what the next key comes later for

    async def run(self) -> BlockRun:
        """Type the block to its end."""
        block, run = self._block, self._run
        run.plain_ms = sum(self._typist.pause_ms(block, start) for start, _ in self._starts(0))
        began_ms = self._clock.now_ms()
        key_ms = began_ms + self._pause()
        self._take(await self._source.begin(block, key_ms - began_ms), began_ms)
        while self._at < len(block.target):
            decision = self._decision() if self._decides_ms < key_ms else None
            if self._decides_ms < key_ms:
                await self._clock.until(self._decides_ms)
                self._decides_ms = float("inf")
                if decision is not None:
                    key_ms = await self._accept(decision)
                continue
            await self._clock.until(key_ms)
            key_ms = await self._press()
        self._hide("gone" if self._rest else "typed")
        run.total_ms = self._clock.now_ms() - began_ms
        await self._source.end()
        return run

    def _starts(self, at: int) -> list[tuple[int, int]]:
        ends = [key.end for key in self._block.keys if key.end > at]
        return list(zip([at, *ends], ends, strict=False))

    def _pause(self) -> float:
        disturbed_ms, self._disturbed_ms = self._disturbed_ms, 0.0
        if self._at == len(self._block.target):
            return 0.0
        return self._typist.pause_ms(self._block, self._at) + disturbed_ms

    def _decision(self) -> Decision | None:
        return self._typist.decide(self._block, self._at, self._rest)

    async def _press(self) -> float:
        """Write one key; the time of the next."""
        key = next(key for key in self._block.keys if key.end > self._at)
        start, self._at = self._at, key.end
        self._run.n_presses += key.n_presses
        now_ms = self._clock.now_ms()
        self._type_through(self._block.target[start : key.end])
        key_ms = now_ms + self._pause()
        if self._at < len(self._block.target):
            self._take(await self._source.typed(start, key.end, key_ms - now_ms), now_ms)
        return key_ms

    def _type_through(self, text: str) -> None:
        if self._rest.startswith(text):
            self._rest = self._rest[len(text) :]
            if not self._rest:
                self._hide("typed")
        else:
            self._hide("gone")

    async def _accept(self, decision: Decision) -> float:
        """Take what was decided on; the time of the next key."""
        assert self._now is not None and self._reply is not None
        start, self._at = self._at, self._at + decision.n_chars
        reply = replace(self._reply, text=self._rest)
        weights = self._block.weights
        self._now.n_accepted += decision.n_chars
        self._run.n_chars_saved += weights[self._at] - weights[start]
        self._run.n_presses += decision.n_presses
        self._rest = "" if decision.n_wrong else self._rest[decision.n_chars :]
        if not self._rest:
            self._hide("accepted")
        await self._clock.until(self._clock.now_ms() + decision.n_presses * ACCEPT_MS)
        now_ms = self._clock.now_ms()
        key_ms = now_ms + self._pause()
        if self._at < len(self._block.target):
            self._take(await self._source.accepted(reply, start, self._at, decision.n_wrong, key_ms - now_ms), now_ms)
        return key_ms

    def _take(self, reply: OfferReply | Late, asked_ms: float) -> None:
        """Note an answer, and show it unless it is what is shown already."""
        self._run.answers.append(reply)
        if isinstance(reply, Late):
            return
        arrives_ms = asked_ms + reply.latency_ms
        if reply.text == self._rest and self._now is not None:
            self._reply = reply
            return
        self._hide("gone", arrives_ms)
        self._reply = reply
        if reply.text:
            self._rest = reply.text
            n_right = n_equal(reply.text, self._block.target[self._at :])
            self._now = ShownText(
                at=self._at, text=reply.text, n_right=n_right, from_ms=arrives_ms, source=reply.source,
                confidence=reply.confidence,
            )  # fmt: skip
            self._decides_ms = arrives_ms + self._typist.notice_ms(self._block, self._at, reply.text)

    def _hide(self, ends: str, at_ms: float | None = None) -> None:
        if self._now is not None:
            self._now.to_ms = self._clock.now_ms() if at_ms is None else at_ms
            self._now.ends = "accepted" if self._now.n_accepted else ends
            self._run.shown.append(self._now)
            if self._now.flickers:
                self._disturbed_ms += self._typist.disturbed_ms
        self._now, self._reply, self._rest, self._decides_ms = None, None, "", float("inf")


async def replay_invoked(block: TypedBlock, typist: Typist, source: TextSource) -> BlockRun:
    """One block typed by a person who asks on request at the beginning of every line, and waits for the answer.

    What is right of it is accepted as the typist does it, and the rest of the line that it ends in is typed. Times
    say nothing: total_ms is plain_ms.
    """
    run = BlockRun(block=block)
    starts = [0, *(key.end for key in block.keys)]
    run.plain_ms = run.total_ms = sum(typist.pause_ms(block, start) for start in starts[:-1])
    begins = [key.end for start, key in zip(starts, block.keys, strict=False) if block.target[start] == "\n"]
    at, reply = 0, await source.begin(block, float("inf"))
    while at < len(block.target):
        run.answers.append(reply)
        accepted = at + (_accept_invoked(run, typist, at, reply.text) if isinstance(reply, OfferReply) else 0)
        line_start = next((begin for begin in begins if begin > at and begin >= accepted), len(block.target))
        run.n_presses += block.n_presses(accepted, line_start)
        if line_start < len(block.target):
            reply = await source.typed(at, line_start, float("inf"))
        at = line_start
    await source.end()
    return run


def _accept_invoked(run: BlockRun, typist: Typist, at: int, text: str) -> int:
    """Note a text on show at target[at], and what is accepted of it: how many characters."""
    if not text:
        return 0
    block, decision = run.block, typist.decide(run.block, at, text)
    n_accepted = 0 if decision is None else decision.n_chars
    run.n_presses += 0 if decision is None else decision.n_presses
    run.n_chars_saved += block.weights[at + n_accepted] - block.weights[at]
    run.shown.append(
        ShownText(
            at=at,
            text=text,
            n_right=n_equal(text, block.target[at:]),
            from_ms=0.0,
            to_ms=INVOKED_MS,
            ends="accepted" if n_accepted else "gone",
            n_accepted=n_accepted,
        )
    )
    return n_accepted
