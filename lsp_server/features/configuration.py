"""The handshake, and settings that change while the server runs.

Owns where settings come from (`initializationOptions`, the client's configuration, what a person switched) and what
happens when they change. It does not know what they mean (settings.py).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...fim.text import PositionEncoding
from ..protocol.endpoint import client_supports_progress, types
from ..settings import Settings, read_settings, snake_case
from ..state import ServerState
from .workspace import restart_workspace, start_workspace

log = logging.getLogger(__name__)

SECTION = "quicksilver"
PATIENCE_S = 10.0  # with a client that does not answer what its configuration is
_ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")
_OF_WORKSPACE = ("workspace", "exclude", "max_workspace_files", "enabled")


def initialize(ls: ServerState, params: types.InitializeParams) -> None:
    """Take encoding, progress support and settings over."""
    capabilities = params.capabilities
    ls.encoding = first_known(capabilities)
    ls.shows_progress = client_supports_progress(capabilities)
    ls.shows_status = _said(ls.strict.client_said, "experimental", SECTION, "status") is True
    options = params.initialization_options
    ls.options = options
    _take(ls, options)
    log.info("initialized: %s, process %s", ls.encoding, params.process_id)


def first_known(capabilities: types.ClientCapabilities) -> PositionEncoding:
    """The client's first choice among the encodings that there are; UTF-16 where it has none."""
    offered = (capabilities.general.position_encodings if capabilities.general else None) or []
    names = [encoding.value if isinstance(encoding, types.PositionEncodingKind) else encoding for encoding in offered]
    known: list[PositionEncoding] = [encoding for name in names for encoding in _ENCODINGS if encoding == name]
    return known[0] if known else "utf-16"


def initialized(ls: ServerState, _: object) -> None:
    """Start the engine, and the look at the workspace; first ask for the client's configuration where it has one."""
    if _said(ls.strict.client_said, "workspace", "configuration") is True:
        ls.spawn(_begin_configured(ls))
    else:
        _begin(ls)


async def _begin_configured(ls: ServerState) -> None:
    await pull(ls)
    _begin(ls)
    if _said(ls.strict.client_said, "workspace", "didChangeConfiguration", "dynamicRegistration") is True:
        await _register(ls)


def _begin(ls: ServerState) -> None:
    ls.has_begun = True
    ls.tell_status(ls.status.describe())
    start_workspace(ls)
    ls.start_engine_if_wanted()


async def _register(ls: ServerState) -> None:
    """Ask to be told when the configuration changes."""
    wanted = types.Registration(
        id="quicksilver-configuration",
        method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
        register_options={"section": SECTION},
    )
    try:
        work = ls.client_register_capability_async(types.RegistrationParams(registrations=[wanted]))
        await asyncio.wait_for(work, PATIENCE_S)
    except Exception as error:  # whatever a client answers: then it tells or it does not
        log.info("the client does not tell of its configuration (%s)", type(error).__name__)


async def pull(ls: ServerState) -> None:
    """Ask the client for its configuration; where it does not answer, what is known stays."""
    item = types.ConfigurationItem(section=SECTION)
    try:
        work = ls.workspace_configuration_async(types.ConfigurationParams(items=[item]))
        found: Any = await asyncio.wait_for(work, PATIENCE_S)
    except Exception as error:  # whatever a client answers must not stop the server
        log.warning("the client's configuration cannot be had (%s)", type(error).__name__)
        return
    section = found[0] if isinstance(found, list | tuple) and found else None
    change(ls, section if isinstance(section, Mapping) else {})


async def did_change_configuration(ls: ServerState, sent: object) -> None:
    """`workspace/didChangeConfiguration`: what was sent counts, unless the client can be asked."""
    if _said(ls.strict.client_said, "workspace", "configuration") is True:
        await pull(ls)
    elif isinstance(sent, Mapping):
        section = sent.get(SECTION)
        change(ls, section if isinstance(section, Mapping) else {})


def change(ls: ServerState, section: Mapping[str, Any]) -> None:
    """Settings from the client's configuration, over those of the handshake; what is different takes effect now."""
    before = ls.settings
    options = ls.options if isinstance(ls.options, Mapping) else {}
    _take(ls, {snake_case(str(name)): value for part in (options, section) for name, value in part.items()})
    if ls.settings != before:
        log.info("the settings have changed")
        _follow(ls, before)


def switch(ls: ServerState, on: bool) -> None:
    """Switch completions on or off, whatever the settings say, until they change."""
    before = ls.settings
    ls.switched = on
    ls.settings = replace(ls.settings, enabled=on)
    _follow(ls, before)
    ls.status.switch(on=on)


def _take(ls: ServerState, options: object) -> None:
    """Read settings and complain, once about each thing."""
    settings, complaints = read_settings(options)
    if settings.enabled != ls.configured.enabled:
        ls.switched = None
    ls.configured = settings
    ls.settings = settings if ls.switched is None else replace(settings, enabled=ls.switched)
    if settings.log_level is not None:
        logging.getLogger("quicksilver").setLevel(settings.log_level.upper())
    ls.status.switch(on=ls.settings.enabled)
    for complaint in complaints:
        if complaint not in ls.complaints:
            ls.complaints.add(complaint)
            log.warning("%s", complaint)
            ls.tell(types.MessageType.Warning, complaint)


def _follow(ls: ServerState, before: Settings) -> None:
    """What other settings set going, or stop."""
    if not ls.has_begun:
        return
    after = ls.settings
    ls.sessions.forget_answers()
    if any(getattr(before, name) != getattr(after, name) for name in _OF_WORKSPACE):
        restart_workspace(ls)
    if after.enabled and not before.enabled:
        ls.start_engine_if_wanted()


def _said(said: Mapping[str, Any], *names: str) -> object:
    """What `initialize` said of a capability, None where it said nothing."""
    found: object = said.get("capabilities")
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
