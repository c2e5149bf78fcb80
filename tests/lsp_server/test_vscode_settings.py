"""The VS Code extension offers the server's settings, with the server's defaults."""

import json
from dataclasses import asdict
from pathlib import Path

from quicksilver.cli.settings_page import FOR_DEVELOPERS
from quicksilver.lsp_server.settings import Settings, camel_case, read_settings

PACKAGE = Path(__file__).parents[2] / "editors" / "vscode" / "package.json"
OF_THE_EXTENSION = {"path", "args", "model", "python", "pipArgs", "trace.server"}  # they never reach the server


def offered():
    found = json.loads(PACKAGE.read_text(encoding="utf-8"))["contributes"]["configuration"]
    parts = found if isinstance(found, list) else [found]
    named = {name: value for part in parts for name, value in part["properties"].items()}
    return {name.removeprefix("quicksilver."): value for name, value in named.items()}


def test_every_setting_is_offered_with_its_default():
    ours = {camel_case(name): value for name, value in asdict(Settings()).items() if name not in FOR_DEVELOPERS}
    theirs = {name: value.get("default") for name, value in offered().items()}
    for name, value in ours.items():
        wanted = list(value) if isinstance(value, tuple) else value
        if name != "logLevel":  # where it is not set, the command line's counts
            assert theirs[name] == wanted, name
    assert set(theirs) - set(ours) <= OF_THE_EXTENSION


def test_every_default_is_a_value_that_the_server_takes():
    values = {name: value.get("default") for name, value in offered().items() if name not in OF_THE_EXTENSION}
    assert read_settings(values)[1] == []


def test_every_setting_says_what_it_does():
    assert all(value.get("description") or value.get("markdownDescription") for value in offered().values())
