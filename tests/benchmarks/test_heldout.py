import pytest
from quicksilver.benchmarks import floors
from quicksilver.benchmarks.heldout import Answer, Score, evaluate, rest_of_line_tasks
from quicksilver.fim.errors import InputError
from quicksilver.model import checkpoint
from quicksilver.model.infiller import load_infiller
from quicksilver.training.corpus import Document
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer

DOCUMENTS = [Document("one", "a.py", TEXTS[0] * 3), Document("two", "b.py", TEXTS[1] * 3)]


def test_tasks_put_together_give_the_document():
    tasks = list(rest_of_line_tasks(DOCUMENTS, 60, seed=1))
    texts = {d.package: d.text for d in DOCUMENTS}
    for task in tasks:
        assert task.prefix + task.truth + task.suffix == texts[task.package]
        assert "\n" not in task.truth and task.truth.strip()
        assert task.suffix.startswith("\n") or not task.suffix
    assert sum(t.package == "one" for t in tasks) == 30
    assert tasks == list(rest_of_line_tasks(DOCUMENTS, 60, seed=1))


def test_no_held_out_packages():
    with pytest.raises(InputError):
        list(rest_of_line_tasks([], 1, 0))


def test_floors():
    assert floors.empty("a", "b") == ""
    assert floors.previous_line("x = first(1)\nx = fir", "") == "st(1)"
    assert floors.previous_line("no line above", "") == ""
    assert floors.longest_match("total = first\nx = 1\ntot", "\n") == "al = first"
    assert floors.longest_match("abc", "\nxbc = 7\n") == " = 7"
    assert floors.longest_match("q", "") == ""
    assert floors.longest_match("", "abc") == ""


def test_longest_match_prefers_the_longer_context_then_the_nearer_place():
    assert floors.longest_match("self.a = one\nb = two\nself.c\nself.a =", "") == " one"
    assert floors.longest_match("x = 1\nx = 2\nx", "\nx = 3") == " = 2"


def test_scores_count_what_is_right():
    score = Score("x")
    score.add(Answer("foo()  \nmore", steps=3, confidence=0.9), "foo()")
    score.add(Answer("bar", steps=1, confidence=0.1), "foo()")
    row = score.row()
    assert (row["exact_match"], row["mean_steps"], row["precision_at_half"]) == (0.5, 2.0, 1.0)
    assert 0.5 <= row["edit_similarity"] < 1


def test_every_decoder_runs(tmp_path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    scores = evaluate(load_infiller(tmp_path), list(rest_of_line_tasks(DOCUMENTS, 4, seed=0)))
    assert len(scores) == 8
    assert all(score.n == 4 for score in scores)
    by_name = {score.name: score.row() for score in scores}
    assert by_name["floor: longest match in the file"]["exact_match"] >= 0.5  # the text repeats itself
    assert by_name["denoiser, all"]["mean_steps"] <= 3  # one forward for each of three small canvases
    assert by_name["denoiser, one"]["mean_steps"] >= by_name["denoiser, top-k"]["mean_steps"]
