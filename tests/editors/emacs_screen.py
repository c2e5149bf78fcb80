"""A real Emacs in a terminal, with a home folder of its own and our client in it.

Owns where Emacs is found, its init file, how keys are spelt, and which server runs. It does not know what is tested.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from json_lines import whole_lines
from terminal_screen import TerminalScreen

CLIENT = Path(__file__).parents[2] / "editors" / "emacs"
SCRIPTED_SERVER = Path(__file__).parents[1] / "lsp_server" / "scripted_server.py"
GREY = "8a8a8a"  # colour 245 of a terminal, which nothing else has here
TAB, CTRL_G, UNDO = "\t", "\x07", "\x1f"
CTRL_RIGHT, CTRL_DOWN = "\x1b[1;5C", "\x1b[1;5B"
META = "\x1b"

# Compiling what others wrote takes the machine's time and a window of the screen.
EARLY_INIT = """(setq native-comp-deferred-compilation nil native-comp-jit-compilation nil
      native-comp-enable-subr-trampolines nil)"""
INIT = """
(setq inhibit-startup-screen t suggest-key-bindings nil frame-background-mode 'dark ring-bell-function #'ignore
      make-backup-files nil auto-save-default nil create-lockfiles nil vc-handled-backends nil
      lsp-auto-guess-root t lsp-enable-snippet nil lsp-restart 'ignore lsp-enable-file-watchers nil
      lsp-session-file (expand-file-name "lsp-session" user-emacs-directory)
      lsp-enabled-clients '(quicksilver) lsp-headerline-breadcrumb-enable nil)
(menu-bar-mode -1)
(flymake-mode -1)
(setq-default mode-line-format '("%b %* %c " mode-line-modes))
(set-face-attribute 'mode-line nil :foreground "white" :background "color-237")
(add-to-list 'load-path CLIENT)
(require 'quicksilver)
(set-face-attribute 'quicksilver-ghost nil :foreground "color-245" :inherit nil)
(setq quicksilver-command '(COMMAND))
MORE
(global-quicksilver-mode)
"""


def emacs_program() -> str | None:
    """QUICKSILVER_EMACS, or the emacs on PATH."""
    return os.environ.get("QUICKSILVER_EMACS") or shutil.which("emacs")


def run_batch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Emacs without a screen."""
    program = emacs_program()
    assert program is not None
    return subprocess.run([program, "-q", "--batch", *arguments], capture_output=True, text=True, timeout=120)


@cache
def has_library(name: str) -> bool:
    """Whether Emacs finds a library by this name."""
    probe = f"(progn (package-initialize) (unless (locate-library {lisp_string(name)}) (kill-emacs 3)))"
    return run_batch("--eval", probe).returncode == 0


def why_not() -> str | None:
    """Why Emacs cannot be tested here; None where it can."""
    program = emacs_program()
    if program is None:
        return "there is no emacs on PATH, and QUICKSILVER_EMACS names none"
    return None if has_library("lsp-mode") else f"{program} has no lsp-mode (Debian: elpa-lsp-mode)"


def lisp_string(text: str) -> str:
    """Text as Emacs Lisp writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class EmacsScreen(TerminalScreen):
    """Emacs with a file open."""

    def __init__(
        self,
        home: Path,
        file: Path,
        server: Sequence[str],
        *,
        at: tuple[int, int] = (1, 0),
        more: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        program = emacs_program()
        assert program is not None
        folder = home / ".emacs.d"
        folder.mkdir(parents=True)
        (folder / "early-init.el").write_text(EARLY_INIT)
        command = " ".join(map(lisp_string, server))
        init = INIT.replace("CLIENT", lisp_string(str(CLIENT))).replace("COMMAND", command).replace("MORE", more)
        (folder / "init.el").write_text(init, encoding="utf-8")
        # screen's terminal description has nothing that pyte cannot draw; xterm's has (rep).
        around = {"HOME": str(home), "TERM": "screen-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        arguments = ["-nw", f"+{at[0]}:{at[1] + 1}", str(file)]
        super().__init__([program, *arguments], env=around | dict(env or {}), cwd=file.parent, rows=20, columns=100)
        self.file = file

    def wait_until_ready(self) -> None:
        """Wait until the server runs and has nothing to say of its state."""
        self.wait(lambda screen: re.search(r" Qs(?!:)", screen.text), "the server is ready")

    def save(self, expected: str | bytes) -> None:
        """Save the file and wait until it holds just this."""
        wanted = expected if isinstance(expected, bytes) else expected.encode()
        self.send("\x18\x13")
        self.wait(lambda screen: screen.file.read_bytes() == wanted, f"a file that holds {wanted!r}")

    def meta_x(self, command: str) -> None:
        """Run a command by its name."""
        self.send(f"{META}x{command}\r")

    @property
    def ghost(self) -> str:
        """The ghost text on the screen."""
        return self.coloured(GREY)

    def wait_for_ghost(self, text: str, timeout_s: float | None = None) -> None:
        """Wait until the ghost text is just this."""
        self.wait(lambda screen: screen.ghost == text, f"ghost text {text!r}", timeout_s)


class EmacsProject:
    """A folder with a file in it, a scripted server, and what its engine was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record.jsonl"
        (folder / "project").mkdir()

    @contextmanager
    def emacs(
        self,
        content: str,
        *options: str,
        at: tuple[int, int],
        more: str = "",
        server: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ready: bool = True,
        name: str = "app.py",
    ) -> Iterator[EmacsScreen]:
        """Emacs with content open, the cursor at a line (from 1) and a column, and a server with these options."""
        file = self.folder / "project" / name
        file.write_bytes(content.encode())
        scripted = [sys.executable, "-P", str(SCRIPTED_SERVER), "--confidence", "1", "--record", str(self.record)]
        command = [*(server or scripted), *options]
        with EmacsScreen(self.folder / "home", file, command, at=at, more=more, env=env) as screen:
            if ready:
                screen.wait_until_ready()
            yield screen

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the scripted engine recorded under a name."""
        return [record for record in whole_lines(self.record) if record["event"] == name]
