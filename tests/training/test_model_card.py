import pytest
from quicksilver.training.export.model_card import merge_evaluations, model_card
from quicksilver.training.run.recipes import nano, train_config

MANIFEST = {
    "from_environment": False,
    "drops": {"generated": 1927, "near duplicate of a document in train": 612},
    "scrubs": {"e-mail address": 3},
    "decontaminated": [],
    "sources": [{"name": "alpha", "version": "1.0", "licence": "MIT", "split": "train", "n_chars": 1234567}],
}
LOG = [
    {"step": 200, "s": 60.0, "tokens": 999, "valid_next": 3.5, "valid_canvas": 5.5},
    {"step": 300, "s": 120.0, "tokens": 1500},
]


def score(name, family, exact, kind, ece):
    return {
        "kind": kind,
        "decoder": name,
        "family": family,
        "exact_match": exact,
        "exact_match_95": [exact - 0.05, exact + 0.05],
        "first_line_match": 0.5,
        "edit_similarity": 0.5,
        "syntax_valid": 0.75,
        "mean_steps": 3.0,
        "precision_at_50": None if ece is None else 0.4,
        "ece": ece,
        "holes": 9,
    }


def evaluation(exact):
    scores = [
        row
        for kind in ("rest-of-line", "block")
        for row in (
            score("floor: copy", "floor", 0.2, kind, None),
            score("denoiser, one", "denoiser", exact, kind, 0.1),
        )
    ]
    model = {"parameters": 6_000_000, "sha256": "abc", "dtype": "bfloat16"}
    return {
        "model": model, "scores": scores, "packages": ["p"], "seed": 0, "date": "2026-11-21", "split": "heldout",
    }  # fmt: skip


def card(exact):
    config = train_config(steps=None, minutes=2.0, seed=1, n_context=1024)
    return model_card(nano(), config, MANIFEST, LOG, evaluation(exact), "two cores")


def test_numbers_come_from_what_was_recorded():
    text = card(0.1)
    for fact in (
        "Dropped: generated 1,927, near duplicate of a document in train 612. Replaced: e-mail address 3. No ev",
        "quicksilver train run --size nano --seed 1 --minutes 2`",
        "6,000,000 parameters",
        "| denoiser, one | 10.0% | 5.0% to 15.0% |",
        "| floor: copy | 20.0% | 15.0% to 25.0% | 50.0% | 50.0% | 75.0% | 3.0 | – | – |",
        "### block: the body of a def",
        "--split heldout --kinds rest-of-line,block --holes 9 --seed 0",
        "300 steps, 1,500 context tokens, 2 min",
        "3.5 nats",
    ):
        assert fact in text
    assert "| alpha | 1.0 | MIT | train | 1,234,567 |" in text


def test_the_card_says_when_a_floor_is_better():
    assert "does **not** beat the best floor (copy, 20.0%)" in card(0.1)
    assert "beats the best floor" in card(0.3)


def test_parts_of_an_evaluation_make_one():
    whole = evaluation(0.1)
    first, second = (whole | {"scores": [score], "packages": [f"p{i}"]} for i, score in enumerate(whole["scores"][:2]))
    both = merge_evaluations([first, second])
    assert both["scores"] == whole["scores"][:2]
    assert both["packages"] == ["p0", "p1"]
    with pytest.raises(ValueError, match="sha256"):
        merge_evaluations([first, second | {"model": second["model"] | {"sha256": "other"}}])
    with pytest.raises(ValueError, match="seed"):
        merge_evaluations([first, second | {"seed": 9}])
