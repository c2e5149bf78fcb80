"""`quicksilver demo`: cuts code out of real files and asks the real language server and engine to fill the holes.

Owns the questions and their order. Every answer is shown, right or wrong.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ..fim.errors import EngineUnavailable
from ..fim.terminal.console import open_console
from ..fim.terminal.spinner import waiting
from ..lsp_server.protocol.explanation import check_explained, model_options
from ..lsp_server.protocol.headless import HeadlessClient, server_command
from .complete import engine_choice
from .demo_holes import DemoHole, Trial, load_holes, typed_further
from .demo_view import show_choice, show_ending, show_opening, show_steps, show_summary, show_trial

EXAMPLES = Path(__file__).parent.parent / "examples"
_BUDGETS_MS = {"budget_ms": 1_500.0, "invoked_budget_ms": 5_000.0}  # long: a demo may run on a busy machine
_TYPED_SHARE = 0.5
_PATIENCE_S = 38.0  # from the start; then no further hole is begun, so that the demo ends within a minute


def run_demo(examples: Path | None, model: Path | None, prepare: Callable[[], None], timeout_s: float) -> int:
    """Fill the holes, then play how one of them was denoised. Raises InputError, CheckpointError and EngineError.

    prepare is called once the examples have been read; it may take long.
    """
    holes = load_holes(EXAMPLES if examples is None else examples)
    prepare()
    console = open_console()
    show_opening(console)
    try:
        asyncio.run(asyncio.wait_for(_demonstrate(holes, model, console), timeout_s))
    except TimeoutError as error:
        raise EngineUnavailable(f"not done within {timeout_s:g} s: try `quicksilver doctor`") from error
    return 0


async def _demonstrate(holes: Sequence[DemoHole], model: Path | None, console: Console) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    command = server_command("--log-level", "warning", *model_options(model))
    async with await HeadlessClient.start(command) as client:
        with waiting("starting: the first time the model has to be loaded") as tell:
            client.on_status = tell
            await client.initialize(options=_BUDGETS_MS, status=True)
            trials = [await attempt(client, holes[0])]
        client.on_status = lambda message: None
        show_choice(console, await engine_choice(model))
        show_trial(console, trials[0], 1, len(holes))
        for number, hole in enumerate(holes[1:], 2):
            if time.monotonic() > until_s:
                break
            with waiting(f"asking for hole {number} of {len(holes)}"):
                trials.append(await attempt(client, hole))
            show_trial(console, trials[-1], number, len(holes))
        show_summary(console, trials, len(holes))
        chosen = most_denoised(trials)
        if chosen is not None:
            show_steps(console, chosen.hole, await _traced(client, chosen.hole))
        show_ending(console)


async def attempt(client: HeadlessClient, hole: DemoHole) -> Trial:
    """Ask three times for one hole."""
    further = typed_further(hole, _TYPED_SHARE)
    return Trial(
        hole=hole,
        typing=await _ask(client, hole, invoked=False),
        request=await _ask(client, hole, invoked=True),
        further=further,
        typing_further=await _ask(client, further, invoked=False),
    )


def most_denoised(trials: Sequence[Trial]) -> Trial | None:
    """The trial whose answer on request took the most denoise steps, a right one before all others; None for none."""
    denoised = [trial for trial in trials if trial.request.get("source") == "denoiser" and trial.request["text"]]
    return max(
        denoised, key=lambda trial: (trial.request["text"] == trial.hole.expected, trial.request["steps"]), default=None
    )


async def _ask(client: HeadlessClient, hole: DemoHole, *, invoked: bool) -> dict[str, Any]:
    document = hole.document
    client.open(document.uri, document.text, language=document.language)
    await client.complete(document.uri, hole.position, invoked=invoked, timeout_s=600)
    return check_explained(await client.explain())


async def _traced(client: HeadlessClient, hole: DemoHole) -> dict[str, Any]:
    """The same answer with its denoise steps."""
    client.notify("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"trace": True}}})
    with waiting("asking once more, for the steps"):
        return await _ask(client, hole, invoked=True)
