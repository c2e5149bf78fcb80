"""The page of today's figures is made from the results that are there."""

import json
from pathlib import Path

import pytest
from quicksilver.benchmarks.summary import SummaryPlan, newest, page, run_summary
from quicksilver.fim.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_that_of_the_newest_results():
    assert (ROOT / "docs" / "benchmarks.md").read_text() == page(ROOT / "docs" / "results"), "quicksilver bench summary"


def result(**row: float) -> dict[str, object]:
    values = {"cache": "warm", "at most": 8, "written": 7, "ours ms": 100, "llama ms": 600, "first": 500, **row}
    return {"benchmark": "llama", "rows": [{"ratio": 6.0, "least": 5.0, "most": 7.0, **values}]}


def test_of_each_subject_the_newest_counts(tmp_path):
    for day, ours_ms in (("2026-01-02", 120), ("2026-01-01", 90)):
        (tmp_path / f"{day}-llama.json").write_text(json.dumps(result(**{"ours ms": ours_ms})))
    assert list(newest(tmp_path)) == ["llama"]
    text = page(tmp_path)
    assert "| warm | 8 | 7 | 120 | 600 (500) | **6.0×** (5.0–7.0) | [2026-01-02-llama.json]" in text
    assert "2026-01-01" not in text and "## Replay" not in text


def test_what_is_no_result_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        run_summary(SummaryPlan(results=tmp_path / "none", page=tmp_path / "page.md"))
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(InputError, match="does not begin with a date"):
        page(tmp_path)
    (tmp_path / "notes.json").rename(tmp_path / "2026-01-01-x.json")
    for content, message in (
        ("{", "is no JSON"),
        ("[]", "is no result that"),
        ('{"benchmark": "llama"}', "is no result"),
    ):
        (tmp_path / "2026-01-01-x.json").write_text(content)
        with pytest.raises(InputError, match=message):
            page(tmp_path)
    (tmp_path / "2026-01-01-x.json").unlink()
    with pytest.raises(InputError, match="holds no results"):
        page(tmp_path)
