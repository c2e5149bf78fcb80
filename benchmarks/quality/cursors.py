"""`quicksilver eval cursors`: small files with a cursor in them, asked through the real language server.

Each is asked twice, as an editor asks while a person types (automatic) and as a person asks (invoked), in its own
document. A row says what a person would want there, and what never; what is neither is left to the reader. Owns the
file's layout, the verdicts and the JSON: {"format", "model", "counts": {trigger: {verdict: n}}, "rows": [{"name",
trigger: {"text", "verdict", "confidence"}}]}.
"""

import asyncio
import json
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from rich.markup import escape

from ...fim.errors import EngineUnavailable, InputError
from ...fim.files.atomic_write import write_whole
from ...fim.files.source_file import language_of
from ...fim.models.embedded import EMBEDDED
from ...fim.terminal.options import Option, model_option, read_command_line
from ...fim.text.document import Document
from ...lsp_server.protocol.explanation import check_explained, model_options
from ...lsp_server.protocol.headless import HeadlessClient, server_command
from .tables import print_table

EXAMPLES = Path(__file__).parents[2] / "examples"
FORMAT = "quicksilver-cursors-1"
CURSOR = "‸"
BUDGET_MS = 10_000  # the model is measured, not the machine
N_CHARS_SHOWN = 44
TIMEOUT_S = 600.0

CursorVerdict = Literal["right", "wrong", "silent", "open"]
Trigger = Literal["automatic", "invoked"]


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """A document with a cursor, the answer that is right there (a pattern for all of it) and what no answer may hold.

    Raises ValueError for a document without just one cursor, or a pattern that is none.
    """

    name: str
    document: str
    file: str = "a.py"
    wanted: str = ""
    forbidden: str = ""

    def __post_init__(self) -> None:
        if self.document.count(CURSOR) != 1:
            raise ValueError(f"the document of {self.name!r} needs one cursor ({CURSOR})")
        for pattern in (self.wanted, self.forbidden):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{self.name!r} has a pattern that is none: {error}") from error

    def verdict(self, text: str) -> CursorVerdict:
        """What a text is worth; "open" where neither pattern says."""
        if not text:
            return "silent"
        if self.forbidden and re.search(self.forbidden, text):
            return "wrong"
        return "right" if self.wanted and re.fullmatch(self.wanted, text) else "open"


@dataclass(frozen=True, kw_only=True)
class CursorOptions:
    """What `quicksilver eval cursors` was asked."""

    file: Annotated[Path, Option("(examples/cursors.toml)", nargs="?", positional=True)] = field(
        default_factory=lambda: EXAMPLES / "cursors.toml"
    )
    model: Annotated[Path, model_option(default=EMBEDDED[0])]
    json: Annotated[Path | None, Option("also write the result as JSON", metavar="FILE")] = None


def main(argv: Sequence[str]) -> int:
    """Run the evaluation. Returns the exit code; raises InputError, CheckpointError, EngineError."""
    options = read_command_line(
        CursorOptions, argv, prog="quicksilver eval cursors",
        description="Small files with a cursor, through the real server.",
    )  # fmt: skip
    cursors = read_cursors(options.file)
    try:
        model, rows = asyncio.run(asyncio.wait_for(_ask_all(cursors, options.model), TIMEOUT_S))
    except TimeoutError as error:
        raise EngineUnavailable(f"not done within {TIMEOUT_S:g} s: try `quicksilver doctor`") from error
    counts = {trigger: Counter(row[trigger]["verdict"] for row in rows) for trigger in get_args(Trigger)}
    _show(rows, counts)
    if options.json is not None:
        result = {"format": FORMAT, "model": model, "counts": counts, "rows": rows}
        write_whole(options.json, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0


def read_cursors(path: Path) -> list[Cursor]:
    """The cursors of a file. Raises InputError when it cannot be read or does not fit."""
    try:
        return [Cursor(**each) for each in tomllib.loads(path.read_text(encoding="utf-8"))["cursor"]]
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: a [[cursor]] needs name and document, and may have file, wanted, forbidden: {error}"
        ) from error


async def _ask_all(cursors: Sequence[Cursor], model: Path | None) -> tuple[str | None, list[dict[str, Any]]]:
    """The model's name and the row of each cursor."""
    settings = {
        "budget_ms": BUDGET_MS,
        "invoked_budget_ms": BUDGET_MS,
        "prefetch": False,
        "reuse": False,
        "workspace": False,
    }
    rows: list[dict[str, Any]] = []
    name: str | None = None
    async with await HeadlessClient.start(server_command("--log-level", "warning", *model_options(model))) as client:
        await client.initialize(options=settings)
        for i, cursor in enumerate(cursors):
            row: dict[str, Any] = {"name": cursor.name}
            for trigger in get_args(Trigger):
                facts = await _ask(client, cursor, f"file:///cursors/{i}/{cursor.file}", trigger)
                name = facts.get("model", name)
                row[trigger] = {
                    "text": facts["text"],
                    "verdict": cursor.verdict(facts["text"]),
                    "confidence": facts.get("confidence"),
                }
            rows.append(row)
    return name, rows


async def _ask(client: HeadlessClient, cursor: Cursor, uri: str, trigger: Trigger) -> dict[str, Any]:
    """The explained answer at a cursor; the document is open for as long as that takes."""
    left, right = cursor.document.split(CURSOR)
    document = Document(uri, 1, language_of(Path(cursor.file)), left + right)
    line, character = document.position_at(len(left), "utf-32")
    client.open(uri, document.text, language=document.language)
    await client.complete(uri, (line, character), invoked=trigger == "invoked", timeout_s=TIMEOUT_S)
    facts = await client.explain()
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    return facts if facts["cause"] in ("gated", "unsure") else check_explained(facts)


def _show(rows: Sequence[dict[str, Any]], counts: dict[Trigger, Counter[CursorVerdict]]) -> None:
    triggers = get_args(Trigger)
    cells = (
        [
            row["name"],
            *(cell for trigger in triggers for cell in (row[trigger]["verdict"], _short(row[trigger]["text"]))),
        ]
        for row in rows
    )
    columns = ["cursor", *(column for trigger in triggers for column in (trigger, "text"))]
    print_table("Cursors", columns, cells, n_left=len(columns))
    for trigger in triggers:
        found = ", ".join(f"{counts[trigger][verdict]} {verdict}" for verdict in get_args(CursorVerdict))
        print(f"{trigger}: {found}, of {len(rows)}")


def _short(text: str) -> str:
    text = text.replace("\n", "⏎")
    return escape(text if len(text) <= N_CHARS_SHOWN else text[: N_CHARS_SHOWN - 1] + "…")
