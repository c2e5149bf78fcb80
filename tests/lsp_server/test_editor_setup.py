"""`quicksilver editors`: paths and lines of this installation."""

from pathlib import Path

import pytest
from quicksilver.cli.editor_setup import EDITORS, overview, plugin_folder, setup
from quicksilver.cli.main import main
from quicksilver.fim.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path):
    """An installation from a wheel, which has no extension for VS Code, in a folder that needs quoting."""
    root = tmp_path / 'it\'s "here"'
    for name in ("nvim", "emacs"):
        (root / "editors" / name).mkdir(parents=True)
    return root


@pytest.mark.parametrize("editor", EDITORS)
def test_a_checkout_holds_every_plugin(editor, capsys):
    assert main(["editors", editor, "--path"]) == 0
    folder = Path(capsys.readouterr().out.rstrip("\n"))
    assert folder.samefile(ROOT / "editors" / editor)
    assert list(folder.rglob("*"))


def test_the_lines_quote_paths_as_each_language_does(installed):
    nvim, emacs = (setup(installed, editor, "C:\\bin\\quick 'x'") for editor in ("nvim", "emacs"))
    assert f"append('{str(installed).replace(chr(39), chr(92) + chr(39))}/editors/nvim')" in nvim
    assert r"cmd = { 'C:\\bin\\quick \'x\'', 'lsp' }" in nvim
    assert f'"{str(installed).replace(chr(34), chr(92) + chr(34))}/editors/emacs"' in emacs
    assert r""""C:\\bin\\quick 'x'" "lsp""" in emacs


def test_what_is_not_installed_is_said(installed):
    assert "vscode  an extension, quicksilver-" in overview(installed)
    assert f"docs    {installed / 'docs'}" in overview(installed)
    assert "quicksilver.path to /bin/qs" in setup(installed, "vscode", "/bin/qs")
    with pytest.raises(InputError, match="no plugin for vscode"):
        plugin_folder(installed, "vscode")


def test_a_path_needs_an_editor_and_the_name_of_one(capsys):
    assert main(["editors", "--path"]) == 2
    assert "--path needs an editor" in capsys.readouterr().err
    assert main(["editors", "vim"]) == 2
    assert "did you mean nvim?" in capsys.readouterr().err
    assert main(["editors"]) == 0
    assert "nvim" in capsys.readouterr().out
