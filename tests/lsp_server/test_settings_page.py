"""docs/settings.md says what is true."""

from pathlib import Path

from quicksilver.lsp_server.settings import Settings
from quicksilver.lsp_server.settings_page import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_as_the_code():
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run: quicksilver settings > docs/settings.md"


def test_every_setting_has_its_row():
    for name in Settings.__dataclass_fields__:
        assert f"| `{name}` |" in settings_page()
