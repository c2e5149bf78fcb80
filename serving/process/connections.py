"""Limits on connections to the engine: how many, and how long each part of a request and an unread answer may take.

Owns these limits, what a half-closed connection means, and that a shortage of file descriptors is reported once.
"""

import asyncio
import errno
import logging
import select
import socket as sockets
from collections.abc import Callable
from typing import Any, Literal

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..api.auth import PROOF_STATE, ConnectionProof, refuse

logger = logging.getLogger(__name__)

MAX_TCP_CONNECTIONS = 64
HEADERS_S = 5.0
BODY_S = 30.0
UNREAD_S = 30.0
_SEND_BYTES = 131_072
_HALF_CLOSED_S = 0.02  # between two looks at a connection whose client sends no more
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

ConnectionPhase = Literal["headers", "body", "no"]


class BoundedConnection(H11Protocol):
    """uvicorn's connection with time limits, and at most MAX_TCP_CONNECTIONS over TCP.

    Headers have to come within HEADERS_S, bodies within BODY_S, and a client has to take some of its answer within each
    UNREAD_S. Only what the system does not take at once waits in memory.

    One connection too many takes the place of the one that has been idle for longest. UNIX sockets are not counted:
    only this user can reach them.
    """

    phase: ConnectionPhase = "no"
    since_s = 0.0
    is_tcp = False
    is_half_closed = False
    timer: asyncio.TimerHandle | None = None
    unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, PROOF_STATE: ConnectionProof()}
        transport.set_write_buffer_limits(high=0)  # pause_writing() as soon as anything waits
        self.is_tcp = self.server is not None and self.server[1] is not None
        if self.is_tcp:  # the system would take megabytes, and call a slow reader a silent one until they are read
            transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SEND_BYTES)
        self.since_s = self.loop.time()
        if self.is_tcp:
            self._make_room()
        self._note_phase()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        self._note_phase()

    def on_response_complete(self) -> None:
        """Wait for the next request, for a while; a client that sends no more gets the end at once."""
        super().on_response_complete()
        self.since_s = self.loop.time()
        if self.is_half_closed:
            self.transport.close()
        self._note_phase()

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Whether to go on: the client sends no more, but it may still wait for its answer."""
        if not self.is_busy or self.conn.their_state is h11.SEND_BODY or not hasattr(select, "poll"):
            return False
        if self.is_tcp:
            if self.conn.our_state is not h11.SEND_RESPONSE or self.conn.their_http_version == b"1.0":
                return False
            # A closed TCP connection looks the same until something is sent there: then its system resets it.
            self.transport.write(self.conn.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        self.is_half_closed = True
        return not self._has_hung_up() and self._look_again()

    def pause_writing(self) -> None:
        """Start to watch whether the client reads: the system took only a part of the answer."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        """All was taken."""
        super().resume_writing()
        self._stop_watching_unread()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, if it can still be answered, and hang up."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # the answer was sent already; the rest of the request is broken
            return
        body = bytes(refuse(400, "the request is not valid HTTP", "bad_request", "invalid_request_error").body)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        super().connection_lost(exc)
        self._stop_watching_unread()
        self._note_phase()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being read or answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        over_tcp = [each for each in self.connections if isinstance(each, BoundedConnection) and each.is_tcp]
        if len(over_tcp) > MAX_TCP_CONNECTIONS:
            idle = [each for each in over_tcp if each is not self and not each.is_busy]
            victim = min(idle, key=lambda each: each.since_s, default=self)
            self.connections.discard(victim)  # abort() tells it only later
            victim.transport.abort()

    def _watch_unread(self) -> None:
        n_before = self.transport.get_write_buffer_size()

        def check() -> None:
            if self.transport.get_write_buffer_size() >= n_before:
                self.transport.abort()
            else:
                self._watch_unread()

        self.unread_timer = self.loop.call_later(UNREAD_S, check)

    def _stop_watching_unread(self) -> None:
        if self.unread_timer is not None:
            self.unread_timer.cancel()
            self.unread_timer = None

    def _note_phase(self) -> None:
        """Start the clock of what the client has to send now, unless it runs already."""
        phase = self._phase_now()
        if phase == self.phase:
            return
        self.phase = phase
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if phase != "no":
            self.timer = self.loop.call_later(HEADERS_S if phase == "headers" else BODY_S, self.transport.abort)

    def _phase_now(self) -> ConnectionPhase:
        if self.transport.is_closing():
            return "no"
        if self.is_busy:
            return "body" if self.conn.their_state is h11.SEND_BODY else "no"
        return "headers" if self.timeout_keep_alive_task is None else "no"  # uvicorn's own clock runs between requests

    def _look_again(self) -> bool:
        self.loop.call_later(_HALF_CLOSED_S, self._check_half_closed)
        return True

    def _check_half_closed(self) -> None:
        """End the request when its client has gone for good."""
        if self.transport.is_closing():
            return
        if self._has_hung_up():
            self.transport.abort()
        else:
            self._look_again()

    def _has_hung_up(self) -> bool:
        """Whether the client has closed its connection altogether."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), 0)
        return bool(poll.poll(0))


def report_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """An exception handler for the event loop that reports a shortage of descriptors once, in one line."""
    has_reported = False

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal has_reported
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS and "accept" in context["message"]):
            loop.default_exception_handler(context)
        elif not has_reported:
            has_reported = True
            logger.error("connections have to wait: %s (this is reported once)", error.strerror)

    return handle
