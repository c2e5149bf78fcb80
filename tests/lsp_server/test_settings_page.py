"""docs/settings.md says what is true, and a terminal shows it as a table."""

import sys
from pathlib import Path

import pytest
from quicksilver.cli.main import main
from quicksilver.cli.settings_page import settings_page
from quicksilver.lsp_server.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_as_the_code():
    assert PAGE.read_text(encoding="utf-8") == settings_page(), (
        "run: quicksilver settings --markdown > docs/settings.md"
    )


def test_every_setting_has_its_row():
    for name in Settings.__dataclass_fields__:
        assert f"| `{name}` |" in settings_page()


@pytest.mark.parametrize(
    ("arguments", "is_terminal", "is_page"),
    [([], True, False), ([], False, True), (["--markdown"], True, True)],
)
def test_a_terminal_gets_a_table_and_a_pipe_the_page(arguments, is_terminal, is_page, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert main(["settings", *arguments]) == 0
    printed = capsys.readouterr().out
    assert (printed == settings_page()) == is_page
    if not is_page:
        assert "|" not in printed and "`" not in printed
        assert max(map(len, printed.splitlines())) <= 80
        assert all(name in printed for name in Settings.__dataclass_fields__)
