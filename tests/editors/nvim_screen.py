"""Neovim with the Quicksilver plugin in a pseudo-terminal, as a person has it.

Owns how Neovim is started (with a folder of its own for everything it keeps), which of its terminal sequences are no
characters, what its keys are called, and where ghost text is seen. Tests, and a benchmark, drive it.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pexpect
import pyte
from terminal_screen import POLL_S, READ_BYTES, TerminalScreen

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "editors" / "nvim"
SCRIPTED_SERVER = ROOT / "tests" / "lsp_server" / "scripted_server.py"
GHOST = "ff00ff"  # pyte's name for colour 201, which nothing else has
ESC, ENTER, TAB, BACKSPACE = "\x1b", "\r", "\t", "\x7f"
# Not Alt and a letter, as the plugin suggests: a terminal sends Escape and the letter, and Neovim waits between them.
KEYS = {
    "accept": "<Tab>", "accept_word": "<C-g>w", "accept_line": "<C-g>l", "next": "<C-g>n", "previous": "<C-g>p",
    "dismiss": "<C-]>", "ask": "<C-g>a",
}  # fmt: skip
WORD, LINE, NEXT, PREVIOUS, DISMISS, ASK = "\x07w", "\x07l", "\x07n", "\x07p", "\x1d", "\x07a"

# What pyte does not know, or takes for something else: strings for the terminal (titles, colours, capabilities),
# private sequences, underlines with a shape.
_STRINGS = re.compile(r"\x1b[\]PX^_].*?(?:\x07|\x1b\\)", re.DOTALL)
_PRIVATE = re.compile(
    r"\x1b\[[<=>][0-9;:]*[ -/]*[@-~]|\x1b\[\?[0-9;:]*(?:[ -/]+[@-~]|[@-gi-km-~])|\x1b\[[0-9;]*[ -/]+[@-~]"
)
_SHAPES = re.compile(r"\x1b\[[0-9;]*:[0-9:;]*m")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_](?:(?!\x07|\x1b\\).)*)?$", re.DOTALL)
# What Neovim asks a terminal at its start: who it is, whether it is well. Without an answer it waits, and complains.
_ANSWERS = {"\x1b[c": "\x1b[?62;22c", "\x1b[0c": "\x1b[?62;22c", "\x1b[5n": "\x1b[0n"}


def find_nvim(variable: str) -> str | None:
    """The Neovim that an environment variable names, else the one on the PATH; None when there is none."""
    return os.environ.get(variable) or shutil.which("nvim")


def version_of(nvim: str) -> tuple[int, int]:
    """Major and minor version."""
    first = subprocess.run([nvim, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    major, minor = first.removeprefix("NVIM v").split(".")[:2]
    return int(major), int(minor)


def scripted_server(*options: str) -> list[str]:
    """The command of a server that answers as the options say."""
    return [sys.executable, "-P", str(SCRIPTED_SERVER), *options]


class NvimScreen(TerminalScreen):
    """A running Neovim.

    nvim: the program. folder: where it keeps its files, and where it is started. arguments: files to open. server: the
    language server's command. options: more options of setup(), as Lua for the inside of its table. lua: run at the end
    of the init file. set_up: whether that file puts the plugin on the runtimepath and calls setup() before. env: added
    to the environment.
    """

    def __init__(
        self,
        nvim: str,
        folder: Path,
        *arguments: str,
        server: Sequence[str],
        options: str = "",
        lua: str = "",
        set_up: bool = True,
        rows: int = 16,
        columns: int = 80,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.nvim = nvim
        self.poll_s = POLL_S  # how long one read waits; a benchmark wants less
        self.socket = folder / "nvim.sock"
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unfinished = ""
        init = folder / "init.lua"
        fields = {"plugin": _lua(str(PLUGIN)), "server": _lua(list(server)), "keys": _lua(KEYS), "options": options}
        init.write_text(_INIT + (_SET_UP.format(**fields) if set_up else "") + lua, encoding="utf-8")
        kept = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        # NVIM_TEST: no warning, which needs a key, where a loaded machine answers a question of Neovim's too late.
        around = {
            "TERM": "xterm-256color",
            "NVIM_TEST": "1",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            **kept,
            **(env or {}),
        }
        command = [nvim, "-u", str(init), "-i", "NONE", "-n", "--listen", str(self.socket), *arguments]
        super().__init__(command, env=around, cwd=folder, rows=rows, columns=columns, timeout_s=12.0)
        self._characters = pyte.Stream(self.screen)

    def read(self) -> bool:
        """Take over what Neovim has written, waiting a moment for it; False when that was nothing."""
        try:
            data = self.process.read_nonblocking(READ_BYTES, timeout=self.poll_s)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        text = self._unfinished + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        end = len(text) if unfinished is None else unfinished.start()
        text, self._unfinished = text[:end], text[end:]
        for question, answer in _ANSWERS.items():
            for _ in range(text.count(question)):
                self.send(answer)
        self._characters.feed(_SHAPES.sub("", _PRIVATE.sub("", _STRINGS.sub("", text))))
        return True

    def settle(self, n_quiet: int = 15) -> None:
        """Read until nothing has been written this many times in a row: before looking for what must not be there."""
        n_left = n_quiet
        while n_left:
            n_left = n_quiet if self.read() else n_left - 1

    def wait_for_server(self) -> None:
        """Wait until the current buffer's language server can be asked."""
        self.wait(lambda _: self.evaluate("v:vim_did_enter") == 1, "the end of Neovim's start")
        self.wait(lambda _: self.lua("return require('quicksilver.server').client_of(0) ~= nil"), "a server")

    @property
    def ghost(self) -> str:
        """The ghost text, its rows joined by newlines; empty when there is none."""
        return self.coloured(GHOST)

    def wait_for_ghost(self, text: str) -> None:
        """Wait until the ghost text is just this; '' waits until there is none."""
        self.wait(lambda _: self.ghost == text, f"the ghost text {text!r}")

    def command(self, command: str) -> None:
        """Type an Ex command in normal mode."""
        self.send(f":{command}{ENTER}")

    def evaluate(self, expression: str) -> Any:
        """The value of a Vim expression, asked for from outside: no key is pressed."""
        answers: list[str] = []
        self.wait(lambda _: self._ask(expression, answers), f"an answer to {expression}")
        try:
            return json.loads(answers[0])
        except ValueError:
            raise AssertionError(f"{expression}: {answers[0]}\n{self.describe()}") from None

    def _ask(self, expression: str, answers: list[str]) -> bool:
        """Add what Neovim answers; False as long as it does not listen yet."""
        command = [self.nvim, "--server", str(self.socket), "--remote-expr", f"json_encode({expression})"]
        asked = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.wait(lambda _: asked.poll() is not None, f"an answer to {expression}")  # reads the screen meanwhile
        finally:
            asked.kill()
        out, err = asked.communicate()
        if "Failed to connect" in err:
            return False
        answers.append(out or err)
        return True

    def lua(self, code: str) -> Any:
        """What a piece of Lua returns."""
        quoted = f"(function() {code} end)()".replace("'", "''")
        return self.evaluate(f"luaeval('{quoted}')")

    @property
    def buffer(self) -> list[str]:
        """The current buffer's lines."""
        return self.evaluate("getline(1, '$')")

    def wait_for_buffer(self, *lines: str) -> None:
        """Wait until the current buffer holds just these lines."""
        self.wait(lambda _: self.buffer == list(lines), f"a buffer of {list(lines)}")

    def leave_insert(self) -> None:
        """Press Escape, and wait for normal mode."""
        self.send(ESC)
        self.wait(lambda _: self.evaluate("mode(1)") == "n", "normal mode")

    def written(self, file: Path) -> bytes:
        """Leave insert mode, write the current buffer, and return what its file holds."""
        self.leave_insert()
        self.evaluate("execute('write')")
        return file.read_bytes()

    def picture(self, name: str) -> None:
        """Save a picture of the screen in the folder that QUICKSILVER_SCREENSHOTS names, if it names one."""
        for row in self.screen.buffer.values():
            for column, cell in row.items():
                if cell.bg == "bfightmagenta":  # so pyte spells it
                    row[column] = cell._replace(bg="magenta")
        major, minor = version_of(self.nvim)
        self.save_picture(f"nvim-{major}.{minor}-{name}")


def _lua(value: object) -> str:
    """A value as Lua."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{_lua(key)}] = {_lua(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return json.dumps(value, ensure_ascii=False)


_INIT = """
vim.opt.swapfile = false
vim.opt.writebackup = false
vim.opt.ruler = false
vim.opt.showcmd = false
vim.opt.laststatus = 0
vim.opt.timeout = false
vim.opt.ttimeoutlen = 10
vim.opt.termguicolors = false
vim.cmd('filetype plugin indent on | syntax on')
vim.cmd('highlight QuicksilverGhost ctermfg=201')
vim.cmd('highlight QuicksilverCount ctermfg=202')
"""
_SET_UP = """
vim.opt.runtimepath:prepend({plugin})
require('quicksilver').setup({{
  cmd = {server},
  keymaps = {keys},
  settings = {{ min_confidence = 0, settle_ms = 0 }},
  {options}
}})
"""
