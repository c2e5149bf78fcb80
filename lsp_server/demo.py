"""`quicksilver demo`: holes cut from real files, filled by the real language server and engine.

Owns what is asked and shown. Whether an answer equals what had stood there is said as it is; nothing is filtered.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ..fim.errors import EngineUnavailable
from .complete import checked, model_options, server_settings
from .console import open_console
from .demo_holes import DemoHole, load_holes, typed_further
from .headless import HeadlessClient, server_command
from .trace_view import draw_trace, visible

EXAMPLES = Path(__file__).parent.parent / "examples"
_BUDGET_MS = 10_000.0
_LINES_BEFORE = 3
_TYPED_SHARE = 0.5


def run_demo(examples: Path | None, model: Path | None, timeout_s: float) -> int:
    """Fill every hole, then show the steps of the first one. Raises InputError, CheckpointError and EngineError."""
    holes = load_holes(EXAMPLES if examples is None else examples)
    console = open_console()
    try:
        asyncio.run(asyncio.wait_for(_demonstrate(holes, model, console), timeout_s))
    except TimeoutError as error:
        raise EngineUnavailable(f"not done within {timeout_s:g} s: try `quicksilver doctor`") from error
    return 0


async def fill(holes: Sequence[DemoHole], model: Path | None, *, trace: bool) -> list[dict[str, Any]]:
    """The explained answers of one new server to all holes, in order."""
    settings = server_settings(_BUDGET_MS) | {"trace": trace}
    answers: list[dict[str, Any]] = []
    command = server_command("--log-level", "warning", *model_options(model))
    async with await HeadlessClient.start(command) as client:
        await client.initialize(options=settings)
        for hole in holes:
            document = hole.document
            client.open(document.uri, document.text, language=document.language)
            await client.complete(document.uri, hole.position, timeout_s=600)
            answers.append(checked(await client.explain()))
    return answers


async def _demonstrate(holes: Sequence[DemoHole], model: Path | None, console: Console) -> None:
    console.print(Text("Starting the language server and the engine, and asking as an editor would …", style="dim"))
    further = [typed_further(hole, _TYPED_SHARE) for hole in holes]
    answers = await fill([*holes, *further], model, trace=False)
    later = answers[len(holes) :]
    for hole, facts, typed, typed_facts in zip(holes, answers[: len(holes)], further, later, strict=True):
        show_hole(console, hole, facts)
        show_further(console, typed, typed_facts)
    console.print(Rule())
    console.print(Text(f"From the start: {summary(holes, answers[: len(holes)])}", style="bold"))
    console.print(Text(f"With {_TYPED_SHARE:.0%} typed: {summary(further, later)}", style="bold"))
    [traced] = await fill(holes[:1], model, trace=True)
    console.print(Rule(f"{holes[0].name} again, step by step", align="left"))
    console.print(draw_trace(traced["trace"], holes[0].line_left, holes[0].line_right), soft_wrap=True)


def is_equal(hole: DemoHole, facts: Mapping[str, Any]) -> bool:
    """Whether the answer is, character for character, what had stood there."""
    return facts["text"] == hole.expected


def summary(holes: Sequence[DemoHole], answers: Sequence[Mapping[str, Any]]) -> str:
    """One honest line."""
    n_equal = sum(is_equal(hole, facts) for hole, facts in zip(holes, answers, strict=True))
    wrong = [hole.name for hole, facts in zip(holes, answers, strict=True) if not is_equal(hole, facts)]
    engine_ms = sorted(facts["timings_ms"]["engine"] for facts in answers)
    model = answers[0]["model"]
    line = (
        f"{n_equal} of {len(holes)} equal what had stood there; engine median {engine_ms[len(engine_ms) // 2]:.0f} ms"
    )
    return f"{line}; model {model}." + (f" Different: {', '.join(wrong)}." if wrong else "")


def show_hole(console: Console, hole: DemoHole, facts: Mapping[str, Any]) -> None:
    """Print one hole: before, filled, what had stood there, equal or not, and the numbers."""
    line = hole.document.line_of(hole.offset)
    above = [hole.document.line(number) for number in range(max(0, line - _LINES_BEFORE), line)]
    left, right = hole.line_left, hole.line_right
    console.print(Rule(hole.name, align="left"))
    _row(console, "before", *(Text(text, style="dim") for text in above), Text.assemble(left, ("▁▁▁▁", "dim"), right))
    _row(console, "filled", Text.assemble(left, (facts["text"] or "(nothing)", "bold cyan"), right))
    _row(console, "had stood there", Text.assemble(left, (hole.expected, "bold"), right))
    verdict = Text("equal", style="bold green") if is_equal(hole, facts) else Text("different", style="bold red")
    console.print(Text.assemble(f"{'':>16} ", verdict, f" · {numbers(facts)}"))


def show_further(console: Console, hole: DemoHole, facts: Mapping[str, Any]) -> None:
    """Print the same hole after some of it was typed, in two lines."""
    _row(console, "typed further", Text.assemble(hole.line_left, (facts["text"] or "(nothing)", "bold cyan")))
    verdict = Text("equal", style="bold green") if is_equal(hole, facts) else Text("different", style="bold red")
    console.print(Text.assemble(f"{'':>16} ", verdict, f" · {numbers(facts)}"))


WORDS = {
    "denoiser": "denoised",
    "file": "draft from the file, verified",
    "open file": "draft from an open file, verified",
    "workspace": "draft from the workspace, verified",
    "snippet": "draft from a snippet, verified",
}


def numbers(facts: Mapping[str, Any]) -> str:
    """Steps, time and speed of an answer, for one line."""
    engine_ms = facts["timings_ms"]["engine"]
    per_s = facts["n_tokens"] / (engine_ms / 1000) if engine_ms > 0 else 0.0
    return (
        f"{facts['steps']} steps · {facts['n_tokens']} tokens · engine {engine_ms:.1f} ms · {per_s:.0f} tokens/s"
        f" · confidence {facts['confidence']:.2f} · {facts['finish_reason']} · {WORDS[facts['source']]}"
    )


def _row(console: Console, title: str, *texts: Text) -> None:
    for number, text in enumerate(texts):
        shown = Text.assemble((f"{title if number == 0 else '':>16} ", "dim"))
        for span_text, style in _spans(text):
            shown.append(visible(span_text), style=style)
        console.print(shown, soft_wrap=True)


def _spans(text: Text) -> list[tuple[str, str]]:
    """The pieces of a text with their styles, so that each can be made visible on its own."""
    pieces: list[tuple[str, str]] = []
    end = 0
    for span in text.spans:
        pieces += [(text.plain[end : span.start], ""), (text.plain[span.start : span.end], str(span.style))]
        end = span.end
    return [*pieces, (text.plain[end:], str(text.style) if not text.spans else "")]
