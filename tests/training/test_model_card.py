from quicksilver.training.model_card import model_card
from quicksilver.training.recipes import nano, train_config

MANIFEST = {
    "from_environment": False,
    "sources": [{"name": "alpha", "version": "1.0", "licence": "MIT", "split": "train", "n_chars": 1234567}],
}
LOG = [
    {"step": 200, "s": 60.0, "tokens": 999, "valid_next": 3.5, "valid_canvas": 5.5},
    {"step": 300, "s": 120.0, "tokens": 1500},
]


def evaluation(exact):
    floor, own = (
        {
            "decoder": name,
            "exact_match": match,
            "edit_similarity": 0.5,
            "mean_steps": 3.0,
            "precision_at_half": 0.4,
            "holes": 9,
        }
        for name, match in (("floor: copy", 0.2), ("denoiser, one", exact))
    )
    model = {"parameters": 6_000_000, "sha256": "abc", "dtype": "bfloat16"}
    return {"model": model, "scores": [floor, own], "packages": ["p"], "seed": 0, "date": "2026-11-21"}


def card(exact):
    config = train_config(steps=None, minutes=2.0, seed=1, n_context=1024)
    return model_card(nano(), config, MANIFEST, LOG, evaluation(exact), "two cores")


def test_numbers_come_from_what_was_recorded():
    text = card(0.1)
    for fact in (
        "6,000,000 parameters",
        "| denoiser, one | 10.0% |",
        "300 steps, 1,500 context tokens, 2 min",
        "3.5 nats",
    ):
        assert fact in text
    assert "| alpha | 1.0 | MIT | train | 1,234,567 |" in text


def test_the_card_says_when_a_floor_is_better():
    assert "does **not** beat the best floor (copy, 20.0%)" in card(0.1)
    assert "beats the best floor" in card(0.3)
