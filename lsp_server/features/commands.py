"""What a person can tell the server to do: `workspace/executeCommand`, and what an editor tells of a shown text.

Owns the commands' names, arguments and answers (docs/protocol.md). It does not know how anything is done.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...fim.errors import QuicksilverError
from ...fim.text.positions import column_of
from ..answering.answers import DID_ACCEPT, Answer, Item
from ..answering.ghost_text import other_shown
from ..protocol.endpoint import JsonRpcInvalidParams
from ..protocol.file_uris import name_of
from ..protocol.params import ItemReport
from ..state import ServerState
from . import configuration

log = logging.getLogger(__name__)

DID_SHOW = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT = "textDocument/didPartiallyAcceptCompletion"
SNOOZE_MINUTES, MAX_SNOOZE_MINUTES = 10.0, 7 * 24 * 60.0


def toggle(ls: ServerState, *arguments: object) -> dict[str, Any]:
    """`quicksilver.toggle`: on or off, or as told."""
    wanted = arguments[0] if arguments and arguments[0] is not None else not ls.settings.enabled
    if not isinstance(wanted, bool):
        raise JsonRpcInvalidParams("quicksilver.toggle takes nothing, true or false")
    configuration.switch(ls, wanted)
    return ls.status.describe()


def snooze(ls: ServerState, *arguments: object) -> dict[str, Any]:
    """`quicksilver.snooze`: no automatic completions for so many minutes."""
    minutes = arguments[0] if arguments and arguments[0] is not None else SNOOZE_MINUTES
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 0 <= minutes <= MAX_SNOOZE_MINUTES:
        raise JsonRpcInvalidParams(f"quicksilver.snooze takes a number of minutes up to {MAX_SNOOZE_MINUTES:.0f}")
    ls.status.snooze(60 * minutes)
    return ls.status.describe()


async def restart_engine(ls: ServerState, *_: object) -> dict[str, Any]:
    """`quicksilver.restartEngine`: stop the engine process and start another."""
    ls.status.engine("starting", "stopping the old engine")
    ls.care.wake()
    try:
        await ls.care.stop()
    except QuicksilverError as error:
        ls.engine_failed(str(error))
    else:
        await ls.start_engine()
    return ls.status.describe()


def show_log(ls: ServerState, *_: object) -> dict[str, Any]:
    """`quicksilver.showLog`: where the engine's log is; ours is stderr, which editors keep."""
    path = ls.care.log_file
    return {"engine_log": str(path) if path is not None and path.is_file() else None}


def status(ls: ServerState, *_: object) -> dict[str, Any]:
    """`quicksilver.status`: how the server is."""
    return ls.status.describe()


def why(ls: ServerState, *arguments: object) -> dict[str, Any]:
    """`quicksilver.why`: the status, and why the last answer (about a document) was as it was, in lines for people."""
    about = arguments[0] if arguments else None
    uri = about.get("uri") if isinstance(about, Mapping) else None
    answer = ls.answers.latest(uri if isinstance(uri, str) else None)
    return ls.status.describe() | {"why": _reasons(ls, answer)}


def did_accept(ls: ServerState, *arguments: object) -> None:
    """`quicksilver.didAccept`: the editor inserted an item."""
    first = arguments[0] if arguments else None
    found = _item_of(ls, first if isinstance(first, Mapping) else {})
    if found is None:
        log.warning("an unknown completion was accepted")
        return
    answer, item = found
    ls.outcomes.accepted(answer.shown_id, ls.outcomes.n_new(answer.shown_id, answer.id, len(item.text)))
    ls.status.counted(ls.outcomes.counts)


def did_show(ls: ServerState, report: ItemReport) -> None:
    """`textDocument/didShowCompletion`: an item is on show."""
    ls.outcomes.told()
    found = _item_of(ls, report.arguments)
    if found is not None:
        answer, item = found
        _put_on_show(ls, answer, item)
        ls.outcomes.shown(answer.shown_id)
        ls.status.counted(ls.outcomes.counts)


def did_partially_accept(ls: ServerState, report: ItemReport) -> None:
    """`textDocument/didPartiallyAcceptCompletion`: the beginning of an item was taken."""
    ls.outcomes.told()
    found = _item_of(ls, report.arguments)
    if found is not None:
        answer, item = found
        n_chars = column_of(item.text, report.n_accepted_units, "utf-16")
        ls.outcomes.took(answer.shown_id, ls.outcomes.n_new(answer.shown_id, answer.id, n_chars))
        ls.status.counted(ls.outcomes.counts)


def _put_on_show(ls: ServerState, answer: Answer, item: Item) -> None:
    """An editor shows this item of an answer: it is what may be typed now."""
    for session in ls.sessions:
        if session.shown is not None and session.shown.answer.id == answer.id and item != answer.choices[0]:
            session.shown = other_shown(session.shown, item)


def _item_of(ls: ServerState, arguments: Mapping[str, Any]) -> tuple[Answer, Item] | None:
    """The answer and item that a command's arguments name, None for one that is not known (any more)."""
    answer = ls.answers.find(str(arguments.get("id")))
    index = arguments.get("index", 0)
    if answer is None or not isinstance(index, int) or not 0 <= index < len(answer.choices):
        return None
    return answer, answer.choices[index]


def _reasons(ls: ServerState, answer: Answer | None) -> list[str]:
    """Lines for people about the server's state and its last answer."""
    state = ls.status.describe()
    lines = [] if state["state"] in ("ready", "busy") else [f"Now: {state['message']}."]
    if answer is None:
        return [*lines, "No completion has been asked for yet. The editor asks while you type, or on request."]
    ago_s = max(0, round(time.time() - answer.at_s))
    when = f"The last question, {ago_s} s ago, in {name_of(answer.uri) or 'a document'}"
    if answer.text:
        source = "the model" if answer.showing is None or answer.showing.source == "denoiser" else answer.showing.source
        ms = answer.timings_ms.get("total", 0.0)
        lines.append(f"{when}, got an answer: {len(answer.text)} characters, from {source}, in {ms:.0f} ms.")
        lines.append("If it was not visible, the editor hid it: its own menu was open, or the cursor had moved.")
    else:
        lines.append(f"{when}, got none: {answer.reason}.")
    return lines


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "quicksilver.toggle": toggle,
    "quicksilver.snooze": snooze,
    "quicksilver.restartEngine": restart_engine,
    "quicksilver.showLog": show_log,
    "quicksilver.status": status,
    "quicksilver.why": why,
    DID_ACCEPT: did_accept,
}
