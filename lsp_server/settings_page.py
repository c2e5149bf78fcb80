"""docs/settings.md, made from the settings themselves: names, defaults and what they mean.

Owns the page's words around the table. It does not know what a setting does.
"""

import json
from dataclasses import asdict

from .settings import SETTINGS, Settings, camel_case

_HEAD = """\
# Settings

Every editor passes the same settings to the language server: as `initializationOptions`, as its configuration (section
`quicksilver`), or both, the latter over the former. Names may be written in `snake_case` or `camelCase`; `null` stands
for the default. A wrong value gives one line and the default. What runs (`path`, `args`, the model) is set where the
server is started, in the editor's own settings or on the command line, and never by a workspace.

`quicksilver settings` prints this page, which is made from `lsp_server/settings.py`.

"""


def settings_page() -> str:
    """The page, in Markdown."""
    defaults = asdict(Settings())
    rows = [(f"`{name}`", f"`{camel_case(name)}`", _written(defaults[name]), SETTINGS[name].about) for name in SETTINGS]
    table = [("setting", "in VS Code", "default", "what it does"), ("---",) * 4, *rows]
    return _HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in table)


def _written(default: object) -> str:
    """A default as JSON, whole numbers without a point."""
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"
