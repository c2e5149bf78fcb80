"""The editor's progress bar while the engine starts (work-done progress)."""

import asyncio
import logging
import uuid
from typing import Protocol

from .endpoint import JsonRpcException, types

log = logging.getLogger(__name__)

_PATIENCE_S = 2.0


class ProgressBar(Protocol):
    """pygls's interface for progress."""

    async def create_async(self, token: int | str) -> object: ...
    def begin(self, token: int | str, value: types.WorkDoneProgressBegin) -> None: ...
    def report(self, token: int | str, value: types.WorkDoneProgressReport) -> None: ...
    def end(self, token: int | str, value: types.WorkDoneProgressEnd) -> None: ...


class EngineProgress:
    """begin, any number of reports, end; it does not wait for a client that does not answer."""

    def __init__(self, bar: ProgressBar) -> None:
        self._bar = bar
        self._token = uuid.uuid4().hex
        self._open = False

    async def begin(self) -> None:
        """Ask the client for a progress bar; goes on without one after two seconds or a refusal."""
        try:
            await asyncio.wait_for(self._bar.create_async(self._token), _PATIENCE_S)
        except (TimeoutError, JsonRpcException) as error:
            log.info("no progress bar (%s)", type(error).__name__)
            return
        self._open = True
        self._bar.begin(self._token, types.WorkDoneProgressBegin(title="Quicksilver", message="starting the engine"))

    def report(self, message: str) -> None:
        """Show a line beside the bar."""
        if self._open:
            self._bar.report(self._token, types.WorkDoneProgressReport(message=message))

    def end(self, message: str) -> None:
        """Close the bar."""
        if self._open:
            self._open = False
            self._bar.end(self._token, types.WorkDoneProgressEnd(message=message))
