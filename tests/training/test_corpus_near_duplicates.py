import gzip
import json
import random

import numpy as np
import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus.decontamination import contamination, is_contaminated
from quicksilver.training.corpus.near_duplicates import NearDuplicates, signature
from quicksilver.training.corpus.word_hashes import ngram_hashes, word_hashes


def text_of(seed, n_words=600):
    rng = random.Random(seed)
    return " ".join(f"name{rng.randrange(4000)}" for _ in range(n_words))


def changed(text, share, seed=0):
    """text with about share of its words changed, in one stretch."""
    words = text.split()
    n = round(len(words) * share)
    start = random.Random(seed).randrange(len(words) - n)
    return " ".join([*words[:start], *(f"new{i}" for i in range(n)), *words[start + n :]])


def sketch(text):
    return signature(word_hashes(text))


def test_hashes_ignore_case_punctuation_and_layout_and_nothing_else():
    assert np.array_equal(word_hashes("def Foo(a, b):\n    pass"), word_hashes("DEF foo a b pass"))
    assert len({*word_hashes("a b c a").tolist()}) == 3
    assert len(ngram_hashes(word_hashes("a b c d e f"), 5)) == 2
    assert len(ngram_hashes(word_hashes("a b c d"), 5)) == 0
    assert not np.array_equal(ngram_hashes(word_hashes("a b"), 2), ngram_hashes(word_hashes("b a"), 2))


@pytest.mark.parametrize("seed", range(20))
def test_near_copies_are_found_and_others_are_not(seed):
    kept = NearDuplicates()
    kept.keep("original", sketch(text_of(seed)))
    for other in range(100, 130):
        kept.keep(str(other), sketch(text_of(other)))
    assert not kept.is_new(sketch(changed(text_of(seed), 0.03)))
    assert kept.is_new(sketch(changed(text_of(seed), 0.4)))
    assert kept.is_new(sketch(text_of(seed + 1000)))


def test_texts_without_five_words_are_always_new():
    kept = NearDuplicates()
    kept.keep("a", sketch("one two three"))
    assert kept.is_new(sketch("one two three"))


TASK = {
    "task_id": "t/1",
    "prompt": "def area(width, height):\n    # the area of a rectangle of the given\n",
    "canonical_solution": "    return width * height",
    "suffix": "\n\nprint(area(2, 3))\n",
    "test": {"code": ["def check(candidate): assert candidate(1, 2) == 2 and candidate(3, 4) == 12 or False"]},
}


def write_tasks(path):
    text = json.dumps(TASK) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.jsonl.gz"])
def test_documents_that_hold_a_task_are_contaminated(tmp_path, name):
    runs = contamination([write_tasks(tmp_path / name)])
    program = TASK["prompt"] + TASK["canonical_solution"] + TASK["suffix"]
    assert is_contaminated(word_hashes("import os\n" + program + "more()\n"), runs)
    assert is_contaminated(word_hashes(TASK["test"]["code"][0]), runs)
    across = "the area of a rectangle of the given\n return width * height print(area(2, 3))"
    assert is_contaminated(word_hashes(across), runs)  # prompt, solution and suffix count as one program
    assert not is_contaminated(word_hashes(text_of(1)), runs)
    assert not is_contaminated(word_hashes("the area of a rectangle of the given"), runs)  # under 13 words


def test_plain_text_is_compared_too(tmp_path):
    (tmp_path / "notes.txt").write_text(text_of(5))
    runs = contamination([tmp_path / "notes.txt"])
    words = text_of(5).split()
    assert is_contaminated(word_hashes(" ".join(["start", *words[100:113], "end"])), runs)
    assert not is_contaminated(word_hashes(" ".join(["start", *words[100:112], "end"])), runs)


def test_no_files_contaminate_nothing():
    assert not is_contaminated(word_hashes(text_of(1)), contamination([]))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("missing.jsonl", None, "there is no evaluation file"),
        ("bad.jsonl", b"{not json\n", "no JSONL"),
        ("bad.txt", b"\xff\xfe\x00", "cannot be read"),
        ("cut.jsonl.gz", gzip.compress(b"x" * 4000, mtime=0)[:-9], "cannot be read"),
        ("plain.jsonl.gz", b"not gzip", "cannot be read"),
        ("empty.txt", b"", "holds no 13 words"),
        ("numbers.jsonl", b"[1, 2]\n", "holds no 13 words"),
    ],
)
def test_unusable_evaluation_files(tmp_path, name, raw, message):
    if raw is not None:
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        contamination([tmp_path / name])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
