"""docs/settings.md, made from the settings themselves: names, defaults and descriptions.

Owns the text around the table.
"""

import json
from dataclasses import asdict

from ..lsp_server.settings import ABOUT, Settings, camel_case

_HEAD = """\
# Settings

These settings are the same in every editor. VS Code has them under *Quicksilver* in its settings, Neovim takes them as
`settings` in `setup()` (`languages` as `filetypes`), Emacs in `quicksilver-settings`. Names may be written in
`snake_case` or `camelCase`; `null` stands for the default. If a name or value is wrong, the editor shows one line that
says so, and the default is used.

Other clients pass them as `initializationOptions`, as their configuration (section `quicksilver`), or both; if they
differ, the configuration wins. The program, its arguments and the model are set in the editor's own settings or on the
command line, and never by a workspace.

`quicksilver settings` prints the settings as a table. `quicksilver settings --markdown` prints this page, which is made
from `lsp_server/settings.py`.

"""


FOR_DEVELOPERS = frozenset({"trace", "without"})  # not among VS Code's settings
EXPERIMENTAL = FOR_DEVELOPERS | {"adaptive_debounce", "max_tokens", "max_steps", "policy"}
_EXPERIMENTAL_HEAD = """
## Experimental

For measurements and experiments. They may change or go with any version.

"""


def settings_page() -> str:
    """The page, in Markdown."""
    defaults = asdict(Settings())
    in_vscode = {name: "" if name in FOR_DEVELOPERS else f"`{camel_case(name)}`" for name in ABOUT}
    rows = {name: (f"`{name}`", in_vscode[name], _written(defaults[name]), ABOUT[name]) for name in ABOUT}

    def table(*, experimental: bool) -> str:
        own = [row for name, row in rows.items() if (name in EXPERIMENTAL) == experimental]
        lines = [("setting", "in VS Code", "default", "what it does"), ("---",) * 4, *own]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    return _HEAD + table(experimental=False) + _EXPERIMENTAL_HEAD + table(experimental=True)


def show_settings() -> None:
    """Print the settings as a table for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from ..fim.terminal.console import open_console

    defaults = asdict(Settings())
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("default")
    table.add_column("what it does")
    for name in sorted(ABOUT, key=EXPERIMENTAL.__contains__):
        default = _written(defaults[name]).strip("`")
        about = ABOUT[name].replace("`", "") + (" Experimental." if name in EXPERIMENTAL else "")
        table.add_row(Text(name, "bold"), Text(default, "dim"), Text(about), end_section=True)
    console = open_console()
    console.print(table)
    console.print("Names may also be written in camelCase, as in VS Code. Where to set them: docs/settings.md.")


def _written(default: object) -> str:
    """A default as JSON, whole numbers without a point."""
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"
