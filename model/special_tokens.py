"""The special tokens of our own models."""

from enum import IntEnum


class Special(IntEnum):
    """Special tokens, as offsets from the end of the BPE vocabulary. Never reorder: checkpoints depend on it."""

    PAD = 0
    BOS = 1
    MASK = 2
    EOM = 3
    SUFFIX = 4
    PREFIX = 5
    SNIPPET = 6
    PATH = 7
    LANGUAGE_OTHER = 8
    LANGUAGE_PYTHON = 9
    MIDDLE = 10


N_SPECIAL = 32  # room for languages and layouts to come
