"""Takes the pictures coder-nvim-*.png of docs/images: ghost text of `coder` in the programs of examples/pictures.

Run as `QUICKSILVER_MODEL=MODEL python tests/editors/coder_pictures.py FOLDER`, MODEL being the folder of the model. All
settings but budget_ms have their defaults; a busy machine needs more time. Where nothing is shown by itself, the key
that asks is pressed. It is pressed for a second picture in any case, …-asked.png, which shows the whole answer. A line
for each picture says what is shown, and after how long.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nvim_screen import ASK, ENTER, NvimScreen, find_nvim
from pictures import own_engine, take
from quicksilver.cli.main import main as quicksilver
from quicksilver.lsp_server.protocol.headless import server_command

PROGRAMS = Path(__file__).parents[2] / "examples" / "pictures"
ROWS = 18
OPTIONS = "settings = { budget_ms = 2000 }"
GHOST = "8a8a8a"
LOOK = "background=dark termguicolors nonumber expandtab shiftwidth=2"
COLOURS = f"vim.cmd('set {LOOK} | syntax on | hi QuicksilverGhost guifg=#{GHOST}')"
START_S = 120.0  # of an engine with its model, on a busy machine
PATIENCE_S = 6.0  # after the last key
N_REQUESTS = 3  # on a busy machine the time may be up before there is an answer
N_QUIET, N_QUIET_KEY = 500, 5  # reads of nothing: while the surroundings are read ahead, between two keys


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a program is cut, and what is typed there: `before`, then a gap from which `typed` and `gone` are taken."""

    name: str
    file: str
    before: str
    typed: str
    gone: str

    @classmethod
    def all(cls) -> list[Self]:
        """Those of examples/pictures."""
        return [cls(**each) for each in json.loads((PROGRAMS / "places.json").read_text(encoding="utf-8"))]

    def cut(self) -> tuple[str, str]:
        """The program left and right of the cursor, before anything is typed."""
        text = (PROGRAMS / self.file).read_text(encoding="utf-8")
        left, right = text.split(self.before + self.typed + self.gone)
        return left + self.before, right


def show(program: str, model: str, place: Place, folder: Path) -> None:
    """Type at one place, and take a picture of what comes."""
    left, right = place.cut()
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / place.file
        file.write_text(left + right, encoding="utf-8")
        where = [f"+call cursor({left.count(chr(10)) + 1}, 1)", str(file)]
        server = server_command("--model", model)
        screen = NvimScreen(program, Path(home), *where, server=server, options=OPTIONS, lua=COLOURS, rows=ROWS)
        with screen:
            screen.timeout_s = START_S
            screen.wait_for_server()
            screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs ready", "the engine")
            screen.send("zzA")
            screen.settle(N_QUIET)
            for key in place.typed:
                screen.settle(N_QUIET_KEY)
                screen.send(ENTER if key == "\n" else key)
            how, seconds = suggested(screen)
            screen.settle(N_QUIET)  # a later answer may say more
            print(f"{place.name}: {how}, {seconds:.2f} s after the last key: {ghost(screen)!r}", flush=True)
            take(screen, folder / f"coder-nvim-{place.name}.png")
            screen.send(ASK)
            before, began_s = ghost(screen), time.monotonic()
            while ghost(screen) == before and time.monotonic() < began_s + PATIENCE_S:
                screen.read()
            print(f"{place.name}: on request: {ghost(screen)!r}", flush=True)
            take(screen, folder / f"coder-nvim-{place.name}-asked.png")


def ghost(screen: NvimScreen) -> str:
    """The ghost text that stands there."""
    return str(screen.lua("return require('quicksilver.ghost').text(vim.api.nvim_get_current_buf())"))


def suggested(screen: NvimScreen) -> tuple[str, float]:
    """Wait for ghost text, and ask if none comes by itself. Returns how it came, and the seconds since the last key."""
    for how in ("by itself", *["on request"] * N_REQUESTS):
        began_s = time.monotonic()
        if how == "on request":
            screen.send(ASK)
        while time.monotonic() < began_s + PATIENCE_S:
            screen.read()
            if screen.coloured(GHOST):
                return how, time.monotonic() - began_s
    raise SystemExit(f"no ghost text, {N_REQUESTS} times\n{screen.describe()}")


def main(folder: Path) -> None:
    """A picture of each place."""
    program, model = find_nvim("QUICKSILVER_NVIM_NEW"), os.environ.get("QUICKSILVER_MODEL")
    if program is None:
        raise SystemExit("no Neovim: set QUICKSILVER_NVIM_NEW, or put nvim on the PATH")
    if model is None:
        raise SystemExit("no model: set QUICKSILVER_MODEL to the folder of coder")
    with own_engine():
        quicksilver(
            ["complete", "--invoke", "--model", model, f"{PROGRAMS / 'csv_summary.py'}:1:1"]
        )  # starts the engine
        for place in Place.all():
            show(program, model, place, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
