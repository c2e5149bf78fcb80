"""`quicksilver train ngrams`: counts what follows runs of tokens in a corpus, for a published body's guesses."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ...fim.text.printable import printable
from ..corpus.corpus import CorpusDocument
from ..progress import counting
from .lora_step import MAX_COUNT, documents_of
from .ngram_counts import ENTRIES, count

if TYPE_CHECKING:
    from ...model.tokenizers.body_tokenizer import BodyTokenizer

MAX_TOKENS = 50_000_000  # counting sorts them all in memory


@dataclass(frozen=True, kw_only=True)
class NgramOptions:
    """What `quicksilver train ngrams` was asked."""

    body: Annotated[Path, Option("the body's checkpoint folder", metavar="FOLDER")]
    data: Annotated[tuple[Path, ...], Option("folders with train.jsonl.gz", metavar="FOLDER")]
    out: Annotated[Path, Option("the file to write", metavar="FILE")]
    entries: Annotated[int, Option("runs that are kept", least=1, most=MAX_COUNT)] = ENTRIES
    seed: Annotated[int, Option("of the order of documents, where not all are counted")] = 1


def run(options: NgramOptions) -> None:
    """Count and write. Raises InputError or CheckpointError."""
    from ...model.checkpoint.checkpoint_files import TOKENIZER, read
    from ...model.decoding.ngrams import write_ngrams
    from ...model.tokenizers.body_tokenizer import BodyTokenizer

    if options.out.is_dir() or not options.out.parent.is_dir():
        raise InputError(f"--out must name a file in a folder that is there, not {printable(str(options.out))}")
    body = read(options.body)
    if not isinstance(body.tokenizer, BodyTokenizer):
        raise InputError(f"{options.body} is a model that was trained here: its drafts come from its canvases")
    documents = documents_of(options.data, "train")
    random.Random(options.seed).shuffle(documents)
    tokens = _tokens(documents, body.tokenizer)
    tables = count(tokens, options.entries)
    if not any(len(table.keys) for table in tables.values()):
        raise InputError("the data are too few: nothing in them occurs three times")
    write_ngrams(options.out, tables, str(body.config["sha256"][TOKENIZER]))
    n_runs = {n: len(table.keys) for n, table in tables.items()}
    said = ", ".join(f"{n_runs[n]:,} of {n}" for n in sorted(n_runs))
    print(f"{len(tokens):,} tokens; runs that are kept: {said} tokens; {options.out.stat().st_size / 1e6:.1f} MB")


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
