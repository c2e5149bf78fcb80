"""The guide's table is what the code says, and sums what configs say."""

from pathlib import Path

import pytest
from quicksilver.cli.serve import main
from quicksilver.model.published.families import FAMILIES
from quicksilver.model.published.known import KNOWN, QWEN2_7B, memory_gb, smallest_gpu, table

PAGE = Path(__file__).parents[2] / "docs" / "published.md"


def test_the_guide_holds_the_table(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--list-models"])
    assert ended.value.code in (0, None)
    printed = capsys.readouterr().out.strip()
    assert printed == "\n".join(table())
    assert f"<!-- quicksilver serve --list-models -->\n{printed}\n<!-- end -->" in PAGE.read_text(encoding="utf-8")


def test_each_is_of_a_family_that_is_served():
    unknown = {known.family for known in KNOWN} - {family.name for family in FAMILIES}
    assert not unknown


def test_memory():
    """Qwen2.5-7B has 7.6B parameters, 15.2 GB in bfloat16."""
    assert QWEN2_7B.n_parameters == pytest.approx(7.616e9, rel=1e-3)
    assert memory_gb(QWEN2_7B, 2) == pytest.approx(15.23, abs=0.01)
    assert 7.6 < memory_gb(QWEN2_7B, 1) < 8.3
    assert (smallest_gpu(15.23), smallest_gpu(8.2), smallest_gpu(500)) == ("24 GB", "12 GB", "more than 80 GB")
