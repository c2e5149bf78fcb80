"""A folder with a file in it, open in a Neovim whose language server answers as it is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from json_lines import whole_lines
from nvim_screen import NvimScreen, scripted_server

ITEM_SERVER = Path(__file__).with_name("item_server.py")


class NvimProject:
    """Opens files in Neovim, and ends every Neovim that it started."""

    def __init__(self, nvim: str, folder: Path) -> None:
        self.nvim, self.folder = nvim, folder
        self.record = folder / "record.jsonl"
        self.messages = folder / "messages.jsonl"
        self.file = folder / "project" / "app.py"
        self.file.parent.mkdir()
        self._running: list[NvimScreen] = []

    def start(self, *arguments: str, **options: Any) -> NvimScreen:
        """Start Neovim as NvimScreen does, and wait until it has read its init file."""
        home = self.folder / f"nvim{len(self._running)}"
        home.mkdir()
        screen = NvimScreen(self.nvim, home, *arguments, **options)
        self._running.append(screen)
        screen.wait(lambda _: screen.evaluate("v:vim_did_enter") == 1, "the end of Neovim's start")
        return screen

    def open(
        self,
        content: str | bytes,
        *server_options: str,
        at: tuple[int, int] = (1, 1),
        name: str = "app.py",
        **options: Any,
    ) -> NvimScreen:
        """Open a file that holds this, the cursor at row and column (in bytes, from 1), and wait for the server."""
        server = scripted_server("--record", str(self.record), *server_options)
        return self._open(content, server, at, name, options)

    def open_with_items(
        self,
        content: str | bytes,
        answers: dict[str, Any],
        *server_options: str,
        at: tuple[int, int] = (1, 1),
        name: str = "app.py",
        **options: Any,
    ) -> NvimScreen:
        """The same with a server that answers with just these items (item_server.py)."""
        answers_file = self.folder / "answers.json"
        answers_file.write_text(json.dumps(answers))
        server = [sys.executable, "-P", str(ITEM_SERVER), str(answers_file), str(self.messages), *server_options]
        return self._open(content, server, at, name, options)

    def _open(
        self, content: str | bytes, server: list[str], at: tuple[int, int], name: str, options: dict[str, Any]
    ) -> NvimScreen:
        self.file = self.folder / "project" / name
        self.file.write_bytes(content.encode() if isinstance(content, str) else content)
        screen = self.start(f"+call cursor{at}", str(self.file), server=server, **options)
        screen.wait_for_server()
        return screen

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every message of this method that the item server has got."""
        return [message["params"] for message in whole_lines(self.messages) if message.get("method") == method]

    def engine_events(self, name: str) -> list[dict[str, Any]]:
        """What the engine was asked, or has answered or cancelled: "asked", "answered", "cancelled", "warmed"."""
        return [event for event in whole_lines(self.record) if event["event"] == name]

    def errors(self) -> list[str]:
        """The error messages that any Neovim that still runs has shown."""
        running = [screen for screen in self._running if screen.process.isalive()]
        return [message for screen in running if (message := screen.evaluate("v:errmsg"))]

    def plugin_log(self) -> str:
        """What the plugin's log holds, in all Neovims together."""
        return "".join(path.read_text() for path in self.folder.glob("nvim*/*/nvim/quicksilver.log"))

    def close(self) -> None:
        """End every Neovim; what was on their screens stays in the folder."""
        for number, screen in enumerate(self._running):
            (self.folder / f"screen{number}.txt").write_text(screen.describe())
            screen.close()
