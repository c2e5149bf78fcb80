"""Counting what follows runs of tokens, and guessing by it, against counting by hand; the file, and damaged ones."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.decoding.ngrams import LENGTHS, NGRAMS, Ngrams, read_ngrams, write_ngrams
from quicksilver.training.adapt.ngram_counts import MIN_COUNT, MIN_SHARE, count
from quicksilver.training.cli import main
from quicksilver.training.corpus.corpus import CorpusDocument
from safetensors.numpy import load_file, save_file
from tiny_body import save_body, tiny_body

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
    assert sum(len(table.keys) for table in few.values()) == 3
    assert sum(len(table.keys) for table in count(np.tile(np.arange(300), 4), n_entries=1).values()) == 1
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
        ("a table less", "table of runs of 3 is incomplete"), ("cut off", "is damaged"), ("empty", "is empty"),
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_body(tmp_path / "body", tiny_body())
    (tmp_path / "data").mkdir()
    write_documents(tmp_path, ["x = add(1, 2)\n" * 5, "for i in range(10):\n    print(i)\n" * 4])
    return tmp_path


def write_documents(folder: Path, texts: list[str]) -> None:
    with gzip.open(folder / "data" / "train.jsonl.gz", "wt") as stream:
        for i, text in enumerate(texts):
            stream.write(json.dumps(asdict(CorpusDocument(f"p{i}", "a.py", text))) + "\n")


def counted(folder: Path, *more: str, out: str = "n.safetensors") -> None:
    data = ["--body", str(folder / "body"), "--data", str(folder / "data")]
    main(["ngrams", *data, "--out", str(folder / out), *more])


def test_the_command_counts_and_the_body_guesses_by_it(folder, capsys):
    counted(folder, out=NGRAMS)
    assert "runs that are kept: " in capsys.readouterr().out
    assert (folder / NGRAMS).stat().st_mode & 0o044  # others may read it
    (folder / NGRAMS).rename(folder / "body" / NGRAMS)
    checkpoint = load(folder / "body")
    assert checkpoint.ngrams is not None
    guess = checkpoint.ngrams.guess(checkpoint.tokenizer.encode("for i in"), 3)
    text = b"".join(checkpoint.tokenizer.bytes_of(token) for token in guess).decode()
    assert text and " range(10):\n".startswith(text)


@pytest.mark.parametrize("out", [".", "nowhere/n.safetensors", "body"])
def test_a_place_that_cannot_be_written_is_said_before_counting(folder, monkeypatch, out: str):
    monkeypatch.setattr("quicksilver.training.adapt.ngram_step.count", lambda *_: pytest.fail("it has counted"))
    with pytest.raises(InputError, match="--out must name a file"):
        counted(folder, out=out)


def test_too_little_text_leaves_what_is_there(folder):
    (folder / "n.safetensors").write_bytes(b"good")
    for texts in ([""], ["x"]):
        write_documents(folder, texts)
        with pytest.raises(InputError, match="too few"):
            counted(folder)
    with pytest.raises(InputError, match="--entries must be"):
        counted(folder, "--entries", "0")
    assert (folder / "n.safetensors").read_bytes() == b"good"
