"""Keeps test tasks out of training: a document that shares 13 words in a row with one of them is dropped.

Thirteen words is the custom since GPT-3; word_hashes.py says what a word is. The rule is strict: one shared run is
enough, even if it is a licence header, so evaluation files should hold tasks and nothing else.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...fim.errors import InputError
from .word_hashes import ngram_hashes, word_hashes

N_WORDS = 13
_PROGRAM = ("prompt", "canonical_solution", "suffix")  # infilling tasks: the parts of one program, in this order


def contamination(paths: Sequence[Path]) -> np.ndarray:
    """The hashes of all runs of 13 words in evaluation files (text, JSONL, either with .gz): uint64 [runs], sorted.

    Raises InputError when a file cannot be read or holds no run of 13 words.
    """
    found = [_runs(path) for path in paths]
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)


def is_contaminated(words: np.ndarray, runs: np.ndarray) -> bool:
    """Whether a document's words (uint64 [words]) share a run of 13 with runs, which are sorted."""
    if not len(runs):
        return False
    own = ngram_hashes(words, N_WORDS)
    at = np.minimum(np.searchsorted(runs, own), len(runs) - 1)
    return bool((runs[at] == own).any())


def _runs(path: Path) -> np.ndarray:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no evaluation file {path}: check the argument of --decontaminate") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"the evaluation file {path} cannot be read ({error}): give UTF-8 text or JSONL") from error
    is_jsonl = path.name.removesuffix(".gz").endswith((".jsonl", ".json"))
    texts = _fields(path, text) if is_jsonl else [text]
    hashes = [ngram_hashes(word_hashes(each), N_WORDS) for each in texts]
    found = np.unique(np.concatenate(hashes)) if hashes else np.empty(0, dtype=np.uint64)
    if not len(found):
        raise InputError(f"the evaluation file {path} holds no {N_WORDS} words in a row: nothing to compare with")
    return found


def _fields(path: Path, text: str) -> Iterator[str]:
    """Every string of every task, and the program that an infilling task was cut from."""
    try:
        tasks = [json.loads(line) for line in text.split("\n") if line.strip()]
    except json.JSONDecodeError:
        try:
            tasks = [json.loads(text)]  # a .json file, laid out over several lines
        except json.JSONDecodeError as error:
            raise InputError(f"the evaluation file {path} is no JSONL ({error}): one object on each line") from None
    for task in tasks:
        yield from _strings(task)
        if isinstance(task, dict):
            yield "".join(str(task[key]) for key in _PROGRAM if isinstance(task.get(key), str))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        parts: Iterable[object] = value.values() if isinstance(value, dict) else value
        for part in parts:
            yield from _strings(part)
