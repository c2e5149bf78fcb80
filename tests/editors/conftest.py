"""Makes the modules beside the tests of editors importable by their bare names, and finds the Neovims to test."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nvim_project import NvimProject
from nvim_screen import find_nvim, version_of

VARIABLES = {"old": "QUICKSILVER_NVIM_OLD", "new": "QUICKSILVER_NVIM_NEW"}


@pytest.fixture(params=list(VARIABLES))
def nvim(request):
    """Each Neovim that there is: an old one and a new one, or the only one, once."""
    variable = VARIABLES[request.param]
    program = find_nvim(variable)
    if program is None:
        pytest.skip(f"no Neovim: {variable} names none, and there is no nvim on the PATH")
    is_new = version_of(program) >= (0, 12)
    if variable not in os.environ and is_new != (request.param == "new"):
        pytest.skip(f"{variable} is not set, and the nvim on the PATH is {'new' if is_new else 'old'}")
    return program


@pytest.fixture
def project(nvim, tmp_path):
    """A folder whose files are opened in Neovim; no test of the plugin may leave an error message."""
    project = NvimProject(nvim, tmp_path)
    try:
        yield project
        assert project.errors() == []
        assert "traceback" not in project.plugin_log()
    finally:
        project.close()
