"""A folder with a file in it, open in a Neovim whose language server answers as it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nvim_screen import NvimScreen, scripted_server


class NvimProject:
    """Opens files in Neovim, and ends every Neovim that it started."""

    def __init__(self, nvim: str, folder: Path) -> None:
        self.nvim, self.folder = nvim, folder
        self.record = folder / "record.jsonl"
        self.file = folder / "project" / "app.py"
        self.file.parent.mkdir()
        self._running: list[NvimScreen] = []

    def start(self, *arguments: str, **options: Any) -> NvimScreen:
        """Start Neovim as NvimScreen does."""
        home = self.folder / f"nvim{len(self._running)}"
        home.mkdir()
        screen = NvimScreen(self.nvim, home, *arguments, **options)
        self._running.append(screen)
        return screen

    def open(
        self,
        content: str | bytes,
        *server_options: str,
        at: tuple[int, int] = (1, 1),
        name: str = "app.py",
        **options: Any,
    ) -> NvimScreen:
        """Open a file that holds this, with the cursor at row and column (in bytes, from 1), and wait for the server."""
        self.file = self.file.with_name(name)
        self.file.write_bytes(content.encode() if isinstance(content, str) else content)
        server = scripted_server("--record", str(self.record), *server_options)
        screen = self.start(f"+call cursor{at}", str(self.file), server=server, **options)
        screen.wait_for_server()
        return screen

    def engine_events(self, name: str) -> list[dict[str, Any]]:
        """What the engine was asked, or has answered or cancelled: "asked", "answered", "cancelled", "warmed"."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def close(self) -> None:
        """End every Neovim; what was on their screens stays in the folder."""
        for number, screen in enumerate(self._running):
            (self.folder / f"screen{number}.txt").write_text(screen.describe())
            screen.close()
