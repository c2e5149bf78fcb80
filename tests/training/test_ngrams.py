"""Counting what follows runs of tokens, and guessing by it, against counting by hand; the file, and damaged ones."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import CheckpointError
from quicksilver.model.ngrams import LENGTHS, Ngrams, read_ngrams, write_ngrams
from quicksilver.training.ngram_counts import MIN_COUNT, MIN_SHARE, count
from safetensors.numpy import load_file, save_file

TOKENIZER = "1" * 64


def by_hand(tokens: list[int], last: list[int]) -> set[int] | None:
    """What may be guessed after last: of the longest run that is known well enough, the most frequent tokens."""
    for n in LENGTHS:
        if len(last) < n:
            continue
        followed = Counter(tokens[i + n] for i in range(len(tokens) - n) if tokens[i : i + n] == last[-n:])
        if not followed:
            continue
        most = max(followed.values())
        if most >= MIN_COUNT and most / (followed.total() + 1) >= MIN_SHARE:
            return {token for token, times in followed.items() if times == most}
    return None


@settings(max_examples=60, deadline=None)
@given(tokens=st.lists(st.integers(0, 3), max_size=120), seed=st.integers(0, 9))
def test_a_guess_is_what_followed_most_often(tokens: list[int], seed: int):
    ngrams = Ngrams(count(np.array(tokens, dtype=np.int64)))
    rng = np.random.default_rng(seed)
    for _ in range(10):
        last = rng.integers(0, 4, size=5).tolist()
        guess, wanted = ngrams.guess(last, 1), by_hand(tokens, last)
        assert (not guess) if wanted is None else (guess[0] in wanted)


def test_guesses_are_chained_and_end_where_nothing_is_known():
    ngrams = Ngrams(count(np.array([1, 2, 3, 4, 5, 9] * 4)))
    assert ngrams.guess([7, 1, 2], 2) == [3, 4]
    assert ngrams.guess([1, 2], 50)[:4] == [3, 4, 5, 9]
    assert ngrams.guess([7, 8], 3) == [] and ngrams.guess([1], 3) == [] and ngrams.guess([], 3) == []


def test_the_entries_that_are_kept_are_those_that_are_right_most_often():
    rare, often = [1, 2, 3] * 4, [4, 5, 6] * 40
    few = count(np.array([*often, *rare]), n_entries=3)
    assert sum(len(table.keys) for table in few.values()) <= 4
    assert Ngrams(few).guess([4, 5], 1) == [6] and Ngrams(few).guess([1, 2], 1) == []


def test_a_longer_run_is_kept_only_where_it_says_something_else():
    tokens = [1, 2, 3, 4, *[1, 2, 3, 4] * 9, *[7, 2, 3, 5] * 4]
    tables = count(np.array(tokens))
    assert Ngrams(tables).guess([1, 2, 3], 1) == [4] and Ngrams(tables).guess([7, 2, 3], 1) == [5]
    runs = defaultdict(int, {n: len(table.keys) for n, table in tables.items()})
    assert runs[3] < runs[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_ngrams(tmp_path / "ngrams.safetensors", count(np.array([1, 2, 3, 4, 5, 9] * 4)), TOKENIZER)
    return tmp_path / "ngrams.safetensors"


def test_tables_come_back_from_their_file(path):
    assert read_ngrams(path, 10, TOKENIZER).guess([1, 2], 3) == [3, 4, 5]
    assert not [*path.parent.glob("*.part")]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("another tokenizer", "another tokenizer"), ("format", "has format 'x'"), ("a token too many", "is damaged"),
        ("an id that is none", "is damaged"), ("keys out of order", "is damaged"), ("another type", "is damaged"),
        ("a table less", "no whole table of runs of 3"), ("cut off", "is damaged"), ("empty", "is empty"),
    ],
)  # fmt: skip
def test_a_file_that_is_of_no_use_is_one_line(path, damage: str, message: str):
    arrays, about = load_file(path), {"format": "quicksilver-ngrams-1", "tokenizer_sha256": TOKENIZER}
    if damage == "another tokenizer":
        about["tokenizer_sha256"] = "2" * 64
    elif damage == "format":
        about["format"] = "x"
    elif damage == "a token too many":
        arrays["tokens.2"] = np.append(arrays["tokens.2"], np.int32(1))
    elif damage == "an id that is none":
        arrays["tokens.2"][0] = 10
    elif damage == "keys out of order":
        arrays["keys.2"] = np.ascontiguousarray(arrays["keys.2"][::-1])
    elif damage == "another type":
        arrays["tokens.2"] = arrays["tokens.2"].astype(np.int64)
    elif damage == "a table less":
        del arrays["keys.3"]
    save_file(arrays, path, about)
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=message) as refused:
        read_ngrams(path, 10, TOKENIZER)
    assert "\n" not in str(refused.value)
