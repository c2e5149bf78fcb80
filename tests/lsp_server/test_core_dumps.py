"""No command leaves a core dump: it would hold source text."""

import sys

import pytest
from quicksilver.cli.main import main

resource = pytest.importorskip("resource")


def test_commands_switch_core_dumps_off(capsys):
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        assert main(["settings"]) == 0
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        assert soft == (1 if sys.platform == "linux" and hard != 0 else 0)
        assert hard == before[1]  # whoever debugs a crash may switch them on again
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
