"""A text as hashes of its words and of runs of words, to recognise near copies and test tasks.

A word is a run of letters, digits and underscores, in lower case; punctuation and layout do not count. Hashes are the
same in every process and on every machine.
"""

import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np

_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that a factor never loses a bit
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@lru_cache(maxsize=1 << 20)
def _hash_word(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def word_hashes(text: str) -> np.ndarray:
    """A hash for every word of text, in order: uint64 [words]."""
    return np.fromiter(map(_hash_word, _WORD.findall(text.lower())), dtype=np.uint64)


def ngram_hashes(words: np.ndarray, n: int) -> np.ndarray:
    """The distinct hashes of all runs of n words, sorted: uint64 [runs]; empty when there are fewer than n words."""
    if len(words) < n:
        return np.empty(0, dtype=np.uint64)
    n_runs = len(words) - n + 1
    hashes = np.zeros(n_runs, dtype=np.uint64)
    for i in range(n):  # the products wrap around 2^64, which is what a hash wants
        hashes = hashes * _MULTIPLIER + words[i : i + n_runs]
    hashes ^= hashes >> np.uint64(31)
    return np.unique(hashes * _MIX)
