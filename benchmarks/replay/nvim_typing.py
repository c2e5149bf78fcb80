"""`quicksilver bench typing`: programs typed into a real Neovim with default settings, from an empty file.

What a person would see is recorded inside the editor: a timer looks every few milliseconds at the ghost text on the
screen. The person comes from the replay (`typist`): same pauses, takes a text with Tab when it is right to its
end, longer than two characters, and has been there for 300 ms. Nothing here is simulated but the person.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import psutil

from ...fim.errors import EngineUnavailable, InputError
from ...fim.files.user_folders import HOME_VARIABLE
from ...fim.terminal.options import Option
from ...lsp_server.protocol.headless import INLINE_COMPLETION, HeadlessClient, completion_params, server_command
from ..runner import heading, write_result
from ..speed.nvim_latency import PLUGIN, Terminal, nvim_terminal, version_of
from . import scores
from .blocks import TypedBlock
from .ghost_record import GhostRecord, GhostScreen, Look
from .report import show_table
from .run import ShownText
from .typist import Typist

PROGRAMS = Path(__file__).resolve().parents[2] / "examples" / "typing"
STILL_MS = 300.0
N_CHARS_MIN = 3  # of a text that is worth the Tab key
LOOK_S = 0.005
START_S = 90.0  # for the engine, on a busy machine
HEADINGS = (
    "program", "keys", "texts", "right", "≥ 150 ms", "right", "flickers", "longest\nright", "several\nlines",
    "accepted\ntimes", "chars", "%", "keys\nsaved", "seconds",
)  # fmt: skip

# Looks at what the plugin draws. A line of the record is [milliseconds, byte offset of the cursor, text].
_OBSERVER = """
local file = assert(io.open([[{record}]], 'a'))
local last
local timer = vim.uv.new_timer()
timer:start(0, 5, vim.schedule_wrap(function()
  local text = require('quicksilver.ghost').text(vim.api.nvim_get_current_buf()) or ''
  local cursor = vim.api.nvim_win_get_cursor(0)
  local at = vim.api.nvim_buf_get_offset(0, cursor[1] - 1) + cursor[2]
  local now = text .. '\\0' .. at
  if now ~= last then
    last = now
    file:write(vim.json.encode({{ vim.uv.hrtime() / 1e6, at, text }}), '\\n')
    file:flush()
  end
end))
"""
_INIT = """
vim.opt.runtimepath:prepend([[{plugin}]])
require('quicksilver').setup({{ cmd = {{ {command} }}, keymaps = true }})
-- Every line comes with its indentation, as the record of keys has it.
vim.api.nvim_create_autocmd('FileType', {{ callback = function()
  vim.opt_local.indentexpr = ''
  vim.opt_local.autoindent = false
  vim.opt_local.formatoptions = ''
end }})
"""


@dataclass(frozen=True, kw_only=True)
class TypingPlan:
    """Which programs are typed in which Neovim, with whose server and plugin."""

    programs: Annotated[
        tuple[Path, ...], Option("what is typed (examples/typing/*.py)", metavar="FILE", nargs="*", positional=True)
    ] = field(default_factory=lambda: tuple(sorted(PROGRAMS.glob("*.py"))))
    nvim: Annotated[str, Option("which Neovim, 0.10 or newer", metavar="PROGRAM")] = "nvim"
    seed: Annotated[int, Option("which person types")] = 1
    checkout: Annotated[Path | None, Option("another checkout's server (.venv) and plugin", metavar="FOLDER")] = None

    @property
    def server(self) -> tuple[str, ...]:
        """The language server's command."""
        if self.checkout is None:
            return tuple(server_command())
        return (str(self.checkout.resolve() / ".venv" / "bin" / "python"), "-P", "-m", "quicksilver.cli", "lsp")

    @property
    def plugin(self) -> Path:
        """The folder of the Neovim plugin."""
        return PLUGIN if self.checkout is None else self.checkout.resolve() / "editors" / "nvim"


@dataclass(kw_only=True)
class Typed:
    """What happened while one program was typed."""

    block: TypedBlock
    shown: list[ShownText] = field(default_factory=list)
    n_keys: int = 0
    n_accepted: int = 0
    n_chars_accepted: int = 0
    seconds: float = 0.0
    is_exact: bool = False


def run_typing(plan: TypingPlan, json_file: Path | None) -> int:
    """Type, print a table, write JSON. Raises InputError and EngineUnavailable."""
    version = version_of(plan.nvim)
    if not plan.plugin.is_dir():
        raise InputError(f"there is no Neovim plugin in {plan.plugin}")
    blocks = [_program(path) for path in plan.programs]
    with tempfile.TemporaryDirectory(prefix="qs-typing-") as folder:
        environ = {**os.environ, HOME_VARIABLE: str(Path(folder) / "home")}
        typed = asyncio.run(_typed(plan, blocks, Path(folder), environ))
    rows = {each.block.path: facts(each) for each in typed}
    result = {
        **heading("typing"),
        "nvim": version,
        "seed": plan.seed,
        "programs": rows,
        "texts": {each.block.path: [_text_row(shown) for shown in each.shown] for each in typed},
    }
    show_table(f"quicksilver bench typing: {version}", HEADINGS, [_row(name, row) for name, row in rows.items()])
    write_result(result, json_file)
    wrong = [each.block.path for each in typed if not each.is_exact]
    if wrong:
        raise EngineUnavailable(f"the buffer is not what was typed: {', '.join(wrong)}")
    return 0


def facts(typed: Typed) -> dict[str, Any]:
    """The numbers of one program."""
    n_chars = len(typed.block.target)
    return {
        "characters": n_chars,
        "keys": typed.n_keys,
        **scores.texts(typed.shown),
        "accepted": typed.n_accepted,
        "characters_accepted": typed.n_chars_accepted,
        "accepted_share": round(typed.n_chars_accepted / n_chars, 4),
        "keys_saved": round(1 - typed.n_keys / len(typed.block.keys), 4),
        "seconds": round(typed.seconds, 1),
    }


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    shares = {key: f"{100 * (row[key] or 0):.1f}" for key in ("texts_right", "steady_right", "accepted_share")}
    return [
        name, str(row["keys"]), str(row["texts"]), shares["texts_right"], str(row["steady"]), shares["steady_right"],
        *(str(row[key]) for key in ("flickers", "longest_right", "lines_right", "accepted", "characters_accepted")),
        shares["accepted_share"], f"{100 * row['keys_saved']:.1f}", f"{row['seconds']:.0f}",
    ]  # fmt: skip


def _text_row(shown: ShownText) -> dict[str, Any]:
    return {
        "at": shown.at, "text": shown.text, "right": shown.n_right, "ms": round(shown.visible_ms), "ends": shown.ends,
        "accepted": shown.n_accepted,
    }  # fmt: skip


def _program(path: Path) -> TypedBlock:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}") from error
    if not text.isascii() or "\t" in text or "\r" in text:
        raise InputError(f"{path}: only ASCII text without tabs is typed")
    return TypedBlock(path.resolve().parent, path.name, text.rstrip("\n"), 0, len(text.rstrip("\n")))


async def _typed(
    plan: TypingPlan, blocks: Sequence[TypedBlock], folder: Path, environ: Mapping[str, str]
) -> list[Typed]:
    """Type all programs while another editor window keeps the engine warm, as on a working day."""
    client = await HeadlessClient.start(plan.server, environ)
    try:
        await client.initialize(timeout_s=START_S)
        client.open("file:///warm.py", "def area(width, height):\n    return ")
        params = completion_params("file:///warm.py", (1, 11), invoked=True)
        await client.request(INLINE_COMPLETION, params, timeout_s=START_S)
        return [
            await asyncio.to_thread(_type_program, plan, block, folder / str(i), environ)
            for i, block in enumerate(blocks)
        ]
    finally:
        await client.stop()
        _end_engine(environ[HOME_VARIABLE])


def _end_engine(home: str) -> None:
    """End the engine of this benchmark's own home, whatever version it is of."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(HOME_VARIABLE) == home:
                process.terminate()
        except psutil.Error:
            continue


def _type_program(plan: TypingPlan, block: TypedBlock, folder: Path, environ: Mapping[str, str]) -> Typed:
    folder.mkdir()
    record, init, file = folder / "record.jsonl", folder / "init.lua", folder / "project" / block.path
    file.parent.mkdir()
    command = ", ".join(f"[[{part}]]" for part in plan.server)
    init.write_text(
        _INIT.format(plugin=plan.plugin, command=command) + _OBSERVER.format(record=record), encoding="utf-8"
    )
    kept = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    nvim = [plan.nvim, "-u", str(init), "-i", "NONE", "-n", str(file)]
    with nvim_terminal(nvim, {**environ, **kept}) as terminal:
        terminal.drain(2.0)
        terminal.write("i")
        terminal.drain(0.5)
        typed = _Typing(block, Typist(plan.seed, "strict"), terminal, GhostRecord(record)).run()
        terminal.write("\x1b")
        terminal.drain(0.3)
        terminal.write(":wq\r")
        terminal.drain(0.5)
    typed.is_exact = file.exists() and file.read_text(encoding="utf-8") == block.target + "\n"
    return typed


class _Typing:
    """One program at one keyboard."""

    def __init__(self, block: TypedBlock, typist: Typist, terminal: Terminal, record: GhostRecord) -> None:
        self._block, self._typist, self._terminal, self._record = block, typist, terminal, record
        self._screen = GhostScreen(block)
        self._typed = Typed(block=block)
        self._at = 0

    def run(self) -> Typed:
        """Type to the end."""
        block, started_s = self._block, time.monotonic()
        while self._at < len(block.target):
            key_ms = 1000 * time.monotonic() + self._typist.pause_ms(block, self._at)
            if not self._accepts_before(key_ms):
                key = next(key for key in block.keys if key.end > self._at)
                self._terminal.write(block.target[self._at : key.end].replace("\n", "\r"))
                self._typed.n_keys += 1
                self._at = key.end
        self._look_until(1000 * time.monotonic() + 300)
        self._screen.take(Look(1000 * time.monotonic(), len(block.target), "\0"))
        self._typed.shown = self._screen.shown
        self._typed.seconds = time.monotonic() - started_s
        return self._typed

    def _accepts_before(self, key_ms: float) -> bool:
        """Whether a text was taken while the next key was due."""
        while (now_ms := 1000 * time.monotonic()) < key_ms:
            self._look_until(min(key_ms, now_ms + 1000 * LOOK_S))
            text, now = self._screen.rest(self._at), self._screen.now
            is_right = bool(text) and self._block.target.startswith(text, self._at)
            is_still = now is not None and now_ms - now.from_ms >= STILL_MS
            if now is not None and is_right and is_still and len(text) >= N_CHARS_MIN:
                self._accept(now, text)
                return True
        return False

    def _accept(self, now: ShownText, text: str) -> None:
        self._terminal.write("\t")
        self._typed.n_keys += 1
        self._typed.n_accepted += 1
        self._typed.n_chars_accepted += len(text)
        now.n_accepted += len(text)
        self._at += len(text)
        self._look_until(1000 * time.monotonic() + 180)

    def _look_until(self, end_ms: float) -> None:
        while True:
            self._terminal.drain(0.0)
            for look in self._record.new():
                self._screen.take(look)
            now_ms = 1000 * time.monotonic()
            self._screen.settle(now_ms, self._at)
            if now_ms >= end_ms:
                return
            time.sleep(min(LOOK_S, (end_ms - now_ms) / 1000))
