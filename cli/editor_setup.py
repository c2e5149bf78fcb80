"""`quicksilver editors`: the folders of this installation's editor plugins, and the lines that set one up."""

import json
import sys
from pathlib import Path

from ..fim.errors import InputError

EDITORS = ("nvim", "emacs", "vscode")
ROOT = Path(__file__).parent.parent  # a checkout, or the installed package: both hold editors/ and docs/

_NVIM = """\
-- in init.lua
vim.opt.runtimepath:append({folder})
require('quicksilver').setup({{ cmd = {{ {program}, 'lsp' }}, keymaps = true }})
"""
_EMACS = """\
;; in init.el
(add-to-list 'load-path {folder})
(require 'quicksilver)
(setq quicksilver-command '({program} "lsp"))
(global-quicksilver-mode)
"""
_VSCODE = """\
1. Get quicksilver-*.vsix: CI leaves it in build/, and in a checkout
   cd editors/vscode && npm ci && npm run package
   makes it.
2. code --install-extension quicksilver-*.vsix
3. In the settings of VS Code, set quicksilver.path to {program}
"""


def run_editors(editor: str | None, path_only: bool) -> int:
    """Print what was asked for. Raises InputError for a plugin that this installation does not hold."""
    if editor is None:
        if path_only:
            raise InputError(f"--path needs an editor: {', '.join(EDITORS)}")
        print(overview(ROOT), end="")
    elif path_only:
        print(plugin_folder(ROOT, editor))
    else:
        print(setup(ROOT, editor, program()), end="")
    return 0


def overview(root: Path) -> str:
    """Which plugins there are, and where."""
    lines = [f"{editor:<8}{root / 'editors' / editor}" for editor in EDITORS if (root / "editors" / editor).is_dir()]
    if len(lines) < len(EDITORS):
        lines.append(f"{'vscode':<8}an extension, quicksilver-*.vsix")
    lines += [f"{'docs':<8}{root / 'docs'}", "", "quicksilver editors NAME prints the lines that set one up."]
    return "\n".join(lines) + "\n"


def plugin_folder(root: Path, editor: str) -> Path:
    """The folder of a plugin. Raises InputError if there is none."""
    folder = root / "editors" / editor
    if not folder.is_dir():
        raise InputError(f"this installation holds no plugin for {editor}: see quicksilver editors {editor}")
    return folder


def setup(root: Path, editor: str, command: str) -> str:
    """What a person puts into the editor's settings, with the paths of this installation. Raises InputError."""
    if editor == "vscode":
        return _VSCODE.format(program=command)
    folder = str(plugin_folder(root, editor))
    if editor == "nvim":
        return _NVIM.format(folder=_lua(folder), program=_lua(command))
    return _EMACS.format(folder=json.dumps(folder, ensure_ascii=False), program=json.dumps(command, ensure_ascii=False))


def program() -> str:
    """The `quicksilver` beside the running interpreter; else the one that the shell finds."""
    beside = Path(sys.executable).parent / "quicksilver"
    return str(beside) if beside.is_file() else "quicksilver"


def _lua(text: str) -> str:
    """A string literal of Lua."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
