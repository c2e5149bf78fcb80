"""Kernels compile for a real GPU. The interpreter, which the other tests use, lets pass what the compiler refuses."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import quicksilver.kernels
import torch

SCRIPT = Path(__file__).parent / "compile_all.py"


@pytest.mark.skipif(not os.environ.get("CI"), reason="takes 10 s of CPU: run by .ci/run, or with CI=true")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and all tests compile for it")
def test_every_kernel_compiles(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    run = subprocess.run([sys.executable, "-P", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    files = Path(quicksilver.kernels.__path__[0]).glob("*.py")
    launched = {name for file in files for name in re.findall(r"^ +(_\w+)\[\(", file.read_text("utf-8"), re.MULTILINE)}
    assert set(run.stdout.split()) == launched


def test_kernels_are_imported_without_triton():
    """In a process where it cannot be imported: wrappers compute all the same, and importing them changes nothing."""
    code = (
        "import sys, pkgutil, importlib, torch, quicksilver.kernels as k\n"
        "sys.modules['triton'] = None\n"
        "for m in pkgutil.iter_modules(k.__path__): importlib.import_module(f'quicksilver.kernels.{m.name}')\n"
        "from quicksilver.kernels.int8_matmul import int8_matmul\n"
        "assert int8_matmul(torch.ones(1, 2), torch.ones(3, 2).to(torch.int8), torch.ones(3)).tolist() == [[2.0] * 3]"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
