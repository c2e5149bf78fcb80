"""`quicksilver playground`: opens a page in the browser that shows how holes are filled.

It listens on a free port of this machine for that page alone, and hands its questions on to this user's engine.
"""

import asyncio
import socket
import sys
import threading
import webbrowser
from contextlib import closing

import uvicorn

from ..fim.terminal.spinner import waiting
from ..serving.api.playground.gateway import PlaygroundGateway
from ..serving.api.playground.pages import PAGE
from ..serving.api.playground.sessions import CODE_S, PlaygroundSessions
from ..serving.process.connections import BoundedConnection
from ..serving.process.listener import listen_tcp
from ..serving.process.port_options import LOOPBACK
from .options import PlaygroundOptions
from .shared_engine import shared_engine

_GRACE_S = 1
_IN_TERMINALS = frozenset({"www-browser", "links", "elinks", "lynx", "w3m"})  # they would take ours, and run no scripts


def run_playground(options: PlaygroundOptions) -> int:
    """Start the engine if none runs, open the page, and serve it until interrupted. Returns 0.

    Raises CheckpointError and EngineUnavailable for an engine that does not start, InputError for a port in use.
    """
    with closing(listen_tcp(LOOPBACK, options.port)[0]) as listener:
        try:
            asyncio.run(_serve(options, listener))
        except KeyboardInterrupt:
            print(file=sys.stderr)  # after the ^C that terminals show
    return 0


def open_browser(address: str) -> None:
    """Open address in this user's browser, if there is one with a window."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if getattr(browser, "name", "") not in _IN_TERMINALS:
        browser.open(address)


async def _serve(options: PlaygroundOptions, listener: socket.socket) -> None:
    engine = shared_engine(options.model)
    with waiting("starting the engine") as tell:
        await engine.ensure_running(tell)
    port, sessions = listener.getsockname()[1], PlaygroundSessions()
    gateway = PlaygroundGateway(engine=engine, sessions=sessions)
    config = uvicorn.Config(
        gateway.app(port),
        loop="asyncio",
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # they would let a request claim where it came from
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    address = f"http://{LOOPBACK}:{port}{PAGE}#token={sessions.issue()}"
    print(address, flush=True)
    print(f"The address works once, within {CODE_S:g} s. Ctrl+C ends the playground.", file=sys.stderr, flush=True)
    if not options.no_browser:
        threading.Thread(target=open_browser, args=(address,), name="browser", daemon=True).start()  # it may wait
    await uvicorn.Server(config).serve(sockets=[listener])
