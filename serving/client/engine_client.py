"""The engine's client: an `Engine` that starts the shared process on first use and asks it over its socket.

Owns starting (once, however many front ends ask at the same time), waiting until the model is ready, and turning HTTP
answers back into our values and errors. It imports neither torch nor a web framework.
"""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError
from ...fim.types import Completion, CompletionRequest
from ..json_values import read_json
from ..paths import EngineHome, read_token, running_info
from ..peer import EngineNotOurs
from ..wire import (
    CHECKPOINT_CODE,
    MAX_BODY_BYTES,
    STOPPING_CODE,
    EngineHealth,
    decode_completion,
    decode_health,
    encode_request,
)
from .http import Endpoint, EngineNotRunning, EngineSilent, HttpReply, OpenReply, exchange, open_exchange
from .process_control import end_process
from .starting import Started, default_launch, raise_if_ended, spawn, start_lock

Progress = Callable[[str], None]

_POLL_S = 0.03
_STOP_S = 6.0  # for an engine to end by itself: it lets requests in flight finish for two
_PROBE_TIMEOUT_S = 5.0  # importing torch can keep the engine's loop from answering for a second
_SILENT_PROBES = 2
_ANSWER_SLACK_S = 10.0  # beyond a request's budget: queue, a machine under load


class EngineClient:
    """Asks the engine of one home; start_timeout_s covers starting and loading, answer_timeout_s one request."""

    def __init__(
        self,
        home: EngineHome,
        launch: Sequence[str] | None = None,
        *,
        start_timeout_s: float = 60.0,
        answer_timeout_s: float = 120.0,
    ) -> None:
        self._home = home
        self._launch = list(launch) if launch is not None else default_launch(home)
        self._start_timeout_s = start_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """Where the engine writes its log."""
        return self._home.log_file

    async def complete(self, request: CompletionRequest) -> Completion:
        """Fill request.hole, starting the engine if none runs. Cancelling closes the connection: the work stops.

        Asks once more only when nothing was run. Raises InputError, EngineBusy, EngineUnavailable (it cannot be
        started, or it died while answering: the next request starts another), CheckpointError (its weights cannot be
        used), EngineError (it failed on this one).
        """
        body = encode_request(request)
        timeout_s = self._answer_timeout_s
        if request.budget_ms is not None:
            timeout_s = min(timeout_s, request.budget_ms / 1000 + _ANSWER_SLACK_S)
        if len(body) > MAX_BODY_BYTES:
            raise InputError(f"the request is larger than {MAX_BODY_BYTES // 2**20} MiB: send less of the document")
        try:
            reply = await self._ask("POST", "/v1/fill", body, timeout_s)
        except EngineNotRunning:
            await self.ensure_running()
            reply = await self._ask("POST", "/v1/fill", body, timeout_s)
        except EngineSilent:
            health = await self._probe()
            if health is None or health.status != "loading":
                raise
            await self.ensure_running()  # the model is still being loaded, which does not count as answering
            reply = await self._ask("POST", "/v1/fill", body, timeout_s)
        try:
            return decode_completion(reply.body)
        except InputError as error:
            raise EngineError(f"the engine's answer makes no sense: {error}") from error

    @asynccontextmanager
    async def relay(self, method: str, target: str, body: bytes = b"") -> AsyncIterator[OpenReply]:
        """Ask the engine for any of its addresses, starting it if none runs; the answer is read as it arrives, whatever
        its status. Leaving the block closes the connection: the work stops. Raises the errors of `complete` that do not
        come from an answer."""
        async with AsyncExitStack() as stack:
            try:
                asked = open_exchange(self._endpoint(), method, target, body, timeout_s=self._answer_timeout_s)
                reply = await stack.enter_async_context(asked)
            except EngineNotRunning:
                await self.ensure_running()
                asked = open_exchange(self._endpoint(), method, target, body, timeout_s=self._answer_timeout_s)
                reply = await stack.enter_async_context(asked)
            yield reply

    async def health(self) -> EngineHealth:
        """The engine's state. Starts nothing: raises EngineNotRunning (an EngineUnavailable) when there is none."""
        reply = await exchange(self._endpoint(), "GET", "/health", timeout_s=_PROBE_TIMEOUT_S)
        try:
            return decode_health(reply.body)
        except InputError as error:
            raise EngineUnavailable(f"what answers on the engine's socket is not an engine: {error}") from error

    async def ensure_running(self, on_progress: Progress | None = None) -> EngineHealth:
        """Start the engine unless one runs, and wait until its model is ready.

        on_progress gets a few words whenever the stage changes. Raises EngineUnavailable or CheckpointError.
        """
        report = _Stages(on_progress)
        deadline_s = time.monotonic() + self._start_timeout_s
        started: Started | None = None
        while True:
            try:
                health = await self._probe()
            except EngineSilent:
                if started is None:
                    raise
                health = None  # our own, busy importing
            if health is not None and health.status == "ready":
                report("ready")
                return health
            if health is not None:
                report(_stage_of(health))
            elif started is None:
                report("starting the engine")
                started = await self._start(deadline_s)
            else:
                raise_if_ended(self._home, started)
            self._check_deadline(deadline_s)
            await asyncio.sleep(_POLL_S)

    async def shutdown(self) -> None:
        """Ask the engine to end and wait until it takes no more requests; nothing happens when none runs.

        One that does not listen, or has lost its socket, is ended by its process number. Raises EngineUnavailable when
        that does not help either.
        """
        try:
            await asyncio.wait_for(self._shut_down(), _STOP_S)
        except (TimeoutError, EngineSilent, EngineUnavailable) as error:
            ended = await end_process(self._home.info_file, patience_s=0)
            if ended is None and await self._probe() is not None:
                reason = str(error) or f"it still answers after {_STOP_S:g} s"
                raise EngineUnavailable(f"the engine does not stop: {reason}") from error

    async def _shut_down(self) -> None:
        before = await self._probe()
        if before is None:
            await end_process(self._home.info_file)
            return
        with suppress(EngineNotRunning):
            await self._ask("POST", "/v1/shutdown", b"", self._answer_timeout_s)
        while (now := await self._probe()) is not None and now.pid == before.pid:
            await asyncio.sleep(_POLL_S)

    async def _ask(self, method: str, target: str, body: bytes, timeout_s: float) -> HttpReply:
        reply = await exchange(self._endpoint(), method, target, body, timeout_s=timeout_s)
        if reply.status != 200:
            raise _error_of(reply)
        return reply

    async def _probe(self) -> EngineHealth | None:
        """The engine's state, None when there is none.

        Raises EngineSilent when it keeps its socket but is silent, EngineNotOurs when somebody else has its place.
        """
        for n_left in reversed(range(_SILENT_PROBES)):
            try:
                return await self.health()
            except EngineSilent as error:
                if not n_left:
                    raise self._silent() from error
            except EngineNotOurs:
                raise
            except EngineUnavailable:
                return None
        return None

    def _silent(self) -> EngineSilent:
        info = running_info(self._home.info_file)
        if info is None:
            return EngineSilent("the engine does not answer: end its process and ask again")
        return EngineSilent(f"the engine (process {info.pid}) does not answer: `quicksilver stop` ends it")

    def _endpoint(self) -> Endpoint:
        if self._home.socket is not None:
            return Endpoint(socket=self._home.socket)
        info, token = running_info(self._home.info_file), read_token(self._home)
        if info is None or info.port is None or not token:
            raise EngineNotRunning("no engine is running")
        return Endpoint(port=info.port, token=token)

    async def _start(self, deadline_s: float) -> Started | None:
        """Start the process and return when it answers or has ended; None when another front end was faster."""
        self._home.prepare()
        async with start_lock(self._home, lambda: self._check_deadline(deadline_s)):
            if await self._probe() is not None:
                return None
            if self._process is not None:
                self._process.poll()
            started = spawn(self._home, self._launch)
            self._process = started.process  # kept, so that Python reaps it after it has ended
            while started.process.poll() is None and await self._probe() is None:
                self._check_deadline(deadline_s)
                await asyncio.sleep(_POLL_S)
            return started

    def _check_deadline(self, deadline_s: float) -> None:
        if time.monotonic() >= deadline_s:
            waited = f"{self._start_timeout_s:g} s"
            raise EngineUnavailable(f"the engine is not ready after {waited} (log: {self._home.log_file})")


class _Stages:
    """Reports each stage once."""

    def __init__(self, on_progress: Progress | None) -> None:
        self._on_progress = on_progress
        self._last = ""

    def __call__(self, stage: str) -> None:
        if self._on_progress is not None and stage != self._last:
            self._on_progress(stage)
        self._last = stage


def _stage_of(health: EngineHealth) -> str:
    """A few words for a state that is not ready. Raises CheckpointError or EngineUnavailable for a final one."""
    if health.status == "refused":
        raise CheckpointError(health.reason)
    if health.status == "failed":
        raise EngineUnavailable(f"the engine cannot start: {health.reason}")
    return "loading the model" if health.status == "loading" else "waiting for the old engine to stop"


@dataclass(frozen=True)
class _Said:
    message: str
    code: str | None = None


@dataclass(frozen=True)
class _Refusal:
    error: _Said


def _error_of(reply: HttpReply) -> Exception:
    """The error that an answer other than 200 stands for."""
    try:
        said = read_json(reply.body, _Refusal, "error", allows_more=True).error
    except InputError:
        return EngineError(f"the engine answered with status {reply.status}")
    if reply.status in (400, 413):
        return InputError(said.message)
    if reply.status == 429:
        return EngineBusy(said.message)
    if reply.status == 503 and said.code == CHECKPOINT_CODE:
        return CheckpointError(said.message)
    if reply.status == 503 and said.code == STOPPING_CODE:
        return EngineNotRunning(said.message)
    return (EngineUnavailable if reply.status in (401, 403, 503) else EngineError)(said.message)
