"""`quicksilver train ngrams`: counts what follows runs of tokens in a corpus, for a published body's guesses."""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...fim.errors import InputError
from ...fim.text.printable import printable
from ..corpus.corpus import CorpusDocument
from ..progress import counting
from .lora_step import MAX_COUNT, documents_of
from .ngram_counts import ENTRIES, count

if TYPE_CHECKING:
    from ...model.tokenizers.body_tokenizer import BodyTokenizer

MAX_TOKENS = 50_000_000  # counting sorts them all in memory


def add_arguments(ngrams: argparse.ArgumentParser) -> None:
    """The arguments of `word_hashes`."""
    ngrams.add_argument("--body", type=Path, required=True, metavar="FOLDER", help="the body's checkpoint folder")
    ngrams.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="folders with train.jsonl.gz"
    )
    ngrams.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    ngrams.add_argument("--entries", type=int, default=ENTRIES, help=f"runs that are kept ({ENTRIES})")
    ngrams.add_argument("--seed", type=int, default=1, help="of the order of documents, where not all are counted (1)")


def run(arguments: argparse.Namespace) -> None:
    """Count and write. Raises InputError or CheckpointError."""
    from ...model.checkpoint.checkpoint_files import TOKENIZER, read
    from ...model.decoding.ngrams import write_ngrams
    from ...model.tokenizers.body_tokenizer import BodyTokenizer

    if not 1 <= arguments.entries <= MAX_COUNT:
        raise InputError(f"--entries must be from 1 to {MAX_COUNT:,}")
    if arguments.out.is_dir() or not arguments.out.parent.is_dir():
        raise InputError(f"--out must name a file in a folder that is there, not {printable(str(arguments.out))}")
    body = read(arguments.body)
    if not isinstance(body.tokenizer, BodyTokenizer):
        raise InputError(f"{arguments.body} is a model that was trained here: its drafts come from its canvases")
    documents = documents_of(arguments.data, "train")
    random.Random(arguments.seed).shuffle(documents)
    tokens = _tokens(documents, body.tokenizer)
    tables = count(tokens, arguments.entries)
    if not any(len(table.keys) for table in tables.values()):
        raise InputError("the data are too few: nothing in them is said three times")
    write_ngrams(arguments.out, tables, str(body.config["sha256"][TOKENIZER]))
    n_runs = {n: len(table.keys) for n, table in tables.items()}
    said = ", ".join(f"{n_runs[n]:,} of {n}" for n in sorted(n_runs))
    print(f"{len(tokens):,} tokens; runs that are kept: {said} tokens; {arguments.out.stat().st_size / 1e6:.1f} MB")


def _tokens(documents: Sequence[CorpusDocument], tokenizer: "BodyTokenizer") -> np.ndarray:
    """The tokens of documents, with an end mark behind each; at most MAX_TOKENS."""
    found, n = list[np.ndarray](), 0
    with counting("reading documents", len(documents)) as advance:
        for document in documents:
            found.append(np.array([*tokenizer.encode(document.text), tokenizer.marks.end], dtype=np.int64))
            n += len(found[-1])
            advance(1)
            if n >= MAX_TOKENS:
                break
    if not found:
        raise InputError("the data hold no document")
    return np.concatenate(found)[:MAX_TOKENS]
