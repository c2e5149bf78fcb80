"""The Neovim benchmark: a few keys in a real one, where there is one."""

import json
import shutil

import pytest
from quicksilver.benchmarks.speed.nvim_latency import NvimPlan, run_nvim
from quicksilver.fim.errors import InputError


@pytest.mark.skipif(shutil.which("nvim") is None, reason="there is no nvim on the PATH")
def test_a_few_keys(tmp_path):
    assert run_nvim(NvimPlan(programs=("nvim",), n_keys=3), tmp_path / "result.json") == 0
    [row] = json.loads((tmp_path / "result.json").read_text())["ms"].values()
    assert row["key_to_key_without_us"]["p50"] > 0 and row["key_to_grey_text"]["p50"] > 0


def test_a_program_that_is_none():
    with pytest.raises(InputError):
        run_nvim(NvimPlan(programs=("/nowhere/nvim",), n_keys=1), None)
