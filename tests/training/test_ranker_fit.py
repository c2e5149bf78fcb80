import json

import numpy as np
import pytest
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.ranking.prefix_confidence import FEATURES, PrefixRanker
from quicksilver.training.cli import main as train
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.fit.prefix_ranker import Promise, calibrate, fit_prefixes, typing_holes
from quicksilver.training.fit.ranker import Example, fit, fit_to, holes, regression
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer

DOCUMENTS = [CorpusDocument("p", "a.py", (TEXTS[0] + TEXTS[1]) * 3), CorpusDocument("p", "b.py", TEXTS[0] * 2)]
NAMES = ["bias", "draft"]


def named(of: dict[str, float]) -> dict[str, float]:
    from quicksilver.model.decoding.verification import Verified
    from quicksilver.model.ranking.candidates import Candidate
    from quicksilver.model.ranking.ranker import features

    return dict.fromkeys(features([Candidate(text="", tokens=())], [Verified.nothing()])[0], 0.0) | of


def test_holes_are_what_was_taken_out():
    cuts = list(holes([DOCUMENTS], 50, 3))
    assert len(cuts) == 50
    for cut in cuts:
        hole = cut.request.hole
        assert any(hole.prefix + cut.truth + hole.suffix == d.text for d in DOCUMENTS)
        assert hole.multiline or "\n" not in cut.truth
    assert {cut.request.hole.multiline for cut in cuts if "\n" not in cut.truth} == {False, True}
    assert [c.truth for c in holes([DOCUMENTS], 50, 3)] == [c.truth for c in cuts]
    with pytest.raises(InputError, match="no documents"):
        next(holes([[]], 1, 0))


def test_for_some_holes_the_packages_other_files_are_searched_and_no_others():
    other = CorpusDocument("q", "a.py", "def area(width, height):\n    return width * 42\n")
    cuts = list(holes([[*DOCUMENTS, other]], 80, 3))
    offers = [offer for cut in cuts for offer in cut.request.offers]
    assert 0 < sum(bool(cut.request.offers) for cut in cuts) < len(cuts)
    assert {offer.source for offer in offers} == {"workspace"}
    assert not any("42" in offer.text for offer in offers)
    texts = {document.path: document.text for document in DOCUMENTS}
    for cut in cuts:
        elsewhere = [text for path, text in texts.items() if path != cut.request.path]
        assert all(any(offer.text in text for text in elsewhere) for offer in cut.request.offers)


def test_the_fit_finds_the_weights_that_made_the_data():
    rng = np.random.default_rng(0)
    truth = {"bias": -1.0, "draft": 2.0, "gap": 0.7}
    data = []
    for _ in range(6000):
        x = named({"bias": 1.0, "draft": float(rng.random() < 0.5), "gap": float(rng.normal())})
        score = sum(w * x[name] for name, w in truth.items())
        data.append(Example(x, bool(rng.random() < 1 / (1 + np.exp(-score)))))
    ranker = fit(data)
    for name, weight in truth.items():
        assert ranker.weights[name] == pytest.approx(weight, abs=0.2)
    assert ranker.weights["canvas"] == 0


def test_typing_holes_begin_inside_a_line_and_end_with_one():
    cuts = list(typing_holes([DOCUMENTS], 40, 3))
    assert [c.truth for c in typing_holes([DOCUMENTS], 40, 3)] == [c.truth for c in cuts]
    for cut in cuts:
        hole = cut.request.hole
        assert any(hole.prefix + cut.truth + hole.suffix == d.text for d in DOCUMENTS)
        assert hole.suffix[:1] in ("", "\n") and hole.prefix[-1:].strip() + cut.truth.strip()
    assert any("\n" in cut.truth for cut in cuts) and any(cut.request.offers for cut in cuts)
    n_new = sum(not cut.request.hole.suffix for cut in cuts)  # nothing below: a new file
    assert 10 <= n_new <= 30
    with pytest.raises(InputError, match="no documents"):
        next(typing_holes([[]], 1, 0))


def test_refining_changes_only_what_the_examples_speak_of():
    rows = [{"bias": 1.0, "sure": x, "unseen": 0.0} for x in (-1.0, 0.0, 1.0, 2.0)] * 5
    labels = [False, False, True, True] * 5
    old = {"bias": 3.0, "sure": 0.5, "unseen": 0.7}
    new, refined = regression(rows, labels), regression(rows, labels, old)
    assert (new["unseen"], refined["unseen"]) == (0.0, 0.7)
    assert refined["sure"] > old["sure"] and refined["bias"] < old["bias"]


def test_nothing_to_learn_from():
    with pytest.raises(InputError, match="cannot be fitted"):
        fit([Example(named({}), False)] * 5)


def test_a_fitted_ranker_travels_with_its_checkpoint(tmp_path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    assert checkpoint.load(tmp_path).ranker is None
    seen = []
    ranker = fit_to(load_infiller(tmp_path), [DOCUMENTS], 12, 0, seen.append)
    assert seen == list(range(1, 13))
    checkpoint.save_rankers(tmp_path, ranker)
    loaded = checkpoint.load(tmp_path)
    assert (loaded.ranker, loaded.prefix_ranker) == (ranker, None)
    prefix_ranker = fit_prefixes(load_infiller(tmp_path), [DOCUMENTS], 12, 0, seen.append)
    assert seen == [*range(1, 13), *range(1, 13)]
    checkpoint.save_rankers(tmp_path, ranker, prefix_ranker)
    assert checkpoint.load(tmp_path).prefix_ranker == prefix_ranker
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"log_before"', '"nonsense"'))
    with pytest.raises(CheckpointError, match="ranker"):
        checkpoint.load(tmp_path)


def test_every_group_gives_holes_and_a_file_says_its_language():
    scripts = [CorpusDocument("s", f"{i}.ts", "let total = price * amount;\nprint(total);\n") for i in range(2)]
    for made in (holes([DOCUMENTS, scripts], 60, 3), typing_holes([DOCUMENTS, scripts], 60, 3)):
        languages = [cut.request.hole.language for cut in made]
        assert set(languages) == {"python", "typescript"}
        assert 15 <= languages.count("typescript") <= 45
    with pytest.raises(InputError, match="no documents"):
        next(holes([DOCUMENTS, []], 1, 0))


def log_odds(p):
    return float(np.log(p / (1 - p)))


def test_calibrating_makes_the_promise_what_was_right():
    ranker = PrefixRanker(dict.fromkeys(FEATURES, 0.0) | {"bias": -0.5, "log_prob": 2.0})
    shown = [Promise(4000, 0.88, 0.80), Promise(4000, 0.95, 0.93)]
    found = calibrate(ranker, shown)
    for each in shown:
        score = (log_odds(each.promised) + 0.5) / 2
        features = dict.fromkeys(FEATURES, 0.0) | {"bias": 1.0, "log_prob": score}
        assert ranker.probability(features) == pytest.approx(each.promised, abs=1e-6)
        assert found.probability(features) == pytest.approx(each.right, abs=0.01)
    few = calibrate(ranker, [Promise(2, 0.88, 0.0)])
    assert few.weights["bias"] == pytest.approx(-0.5, abs=0.8)
    with pytest.raises(InputError, match="nothing was shown"):
        calibrate(ranker, [])


def test_calibrating_by_replays_from_the_command_line(tmp_path):
    folder = tmp_path / "c"
    tokenizer = tiny_tokenizer()
    checkpoint.save(folder, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    replay = tmp_path / "replay.json"
    replay.write_text('{"reliability": {"default": [{"from": 0.85, "texts": 90, "promised": 0.88, "right": 0.7}]}}')
    command = ["ranker", "--checkpoint", str(folder), "--calibrate", str(replay), "--json", str(tmp_path / "out.json")]
    with pytest.raises(InputError, match="nothing to calibrate"):
        train(command)
    ranker = fit_to(load_infiller(folder), [DOCUMENTS], 12, 0, lambda n: None)
    checkpoint.save_rankers(folder, ranker, PrefixRanker(dict.fromkeys(FEATURES, 0.25)))
    train(command)
    found = checkpoint.load(folder).prefix_ranker
    assert found is not None and found.weights["bias"] < 0.25
    assert json.loads((tmp_path / "out.json").read_text())["prefix_ranker"] == found.weights
    replay.write_text("[]")
    with pytest.raises(InputError, match="is not what"):
        train(command)
    replay.write_text('{"reliability": {"default": [{"texts": 90, "promised": NaN, "right": 0.7}]}}')
    with pytest.raises(InputError, match="is not what"):
        train(command)
    with pytest.raises(InputError, match="or lies in none"):
        train([*command[:-1], str(tmp_path / "none" / "out.json")])


def test_documents_that_make_no_hole_are_one_line(monkeypatch):
    monkeypatch.setattr("quicksilver.training.fit.ranker.N_DRAWS_MOST", 100)
    blank = [[CorpusDocument("p", "a.py", "\n \n\n")]]
    for made in (holes(blank, 3, 0), typing_holes(blank, 3, 0)):
        with pytest.raises(InputError, match="are their texts blank"):
            list(made)


def test_replays_in_which_surer_texts_are_less_right_are_refused():
    ranker = PrefixRanker(dict.fromkeys(FEATURES, 0.5))
    with pytest.raises(InputError, match="no more often right"):
        calibrate(ranker, [Promise(4000, 0.86, 0.95), Promise(4000, 0.97, 0.3)])
