"""Takes the pictures of docs/images: the real model's ghost text in real terminal editors, in a file of examples/.

Run by hand, as `python tests/editors/pictures.py FOLDER`; the editors are found as the tests find them.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emacs_screen import EmacsScreen
from nvim_screen import NvimScreen, find_nvim, version_of
from PIL import Image
from quicksilver.cli.main import main as quicksilver
from quicksilver.fim.files.user_folders import HOME_VARIABLE
from quicksilver.lsp_server.protocol.headless import server_command
from terminal_screen import TerminalScreen

EXAMPLE = Path(__file__).parents[2] / "examples" / "log_analyser.py"
GONE = "        self.misses = 0\n\n\nclass Request"
TYPED = "        self."


@contextmanager
def example() -> Iterator[tuple[Path, int]]:
    """A copy of the example without one line, in a folder of its own, and the number of the line before it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    before, after = text.split(GONE)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / EXAMPLE.name
        file.write_text(f"{before}\n\nclass Request{after}", encoding="utf-8")
        yield file, before.count("\n")


def nvim(program: str, folder: Path) -> None:
    """Neovim of one version."""
    major, minor = version_of(program)
    colours = "vim.cmd('set background=dark termguicolors nonumber | syntax on | hi QuicksilverGhost guifg=#8a8a8a')"
    with example() as (file, line), tempfile.TemporaryDirectory() as home:
        where = [f"+call cursor({line}, 1)", str(file)]
        options = "settings = { budget_ms = 60000, min_confidence = 0.5 }"
        screen = NvimScreen(program, Path(home), *where, server=server_command(), options=options, lua=colours, rows=14)
        with screen:
            screen.timeout_s = 60.0
            screen.wait_for_server()
            screen.send("zzo")
            screen.send(TYPED.strip())
            screen.wait(lambda seen: "misses" in seen.text.split(TYPED)[-1], "ghost text")
            take(screen, folder / f"nvim-{major}.{minor}.png")


def take(screen: TerminalScreen, file: Path) -> None:
    """Save what is on the screen, small."""
    screen.save_png(file)
    with Image.open(file) as picture:
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=32).save(file, optimize=True)
    print(file)


def emacs(folder: Path) -> None:
    """Emacs."""
    with example() as (file, line), tempfile.TemporaryDirectory() as home:
        more = "(setq quicksilver-settings '((budget_ms . 60000) (min_confidence . 0.5)))"
        with EmacsScreen(Path(home), file, server_command(), at=(line, 0), more=more) as screen:
            screen.timeout_s = 60.0
            screen.wait_until_ready()
            screen.send("\x05\r" + TYPED.strip())
            screen.wait(lambda seen: "misses" in seen.ghost, "ghost text")
            take(screen, folder / "emacs.png")


@contextmanager
def own_engine() -> Iterator[None]:
    """A home for the engine that the editors start, and the end of that engine."""
    with tempfile.TemporaryDirectory() as home:
        os.environ[HOME_VARIABLE] = home
        try:
            yield
        finally:
            quicksilver(["stop"])


def main(folder: Path) -> None:
    """All of them."""
    with own_engine():
        for variable in ("QUICKSILVER_NVIM_OLD", "QUICKSILVER_NVIM_NEW"):
            if (program := find_nvim(variable)) is not None:
                nvim(program, folder)
        emacs(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
