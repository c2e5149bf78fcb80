"""A run's documents and tokenizer: from the corpus or, if there is none, from the token shards.

It imports no PyTorch: worker processes open their streams here.
"""

from pathlib import Path

from ...fim.errors import InputError
from ...model.tokenizers.code_tokenizer import CodeTokenizer
from ..corpus import corpus, shards
from ..corpus.steps import shards_path
from .samples import SampleConfig, SampleStream


def read_documents(folder: Path, size: str, split: corpus.Split) -> list[corpus.CorpusDocument]:
    """The documents of one split. Raises InputError when there is neither corpus nor shards, or they are damaged."""
    packed = shards_path(folder, size)
    if not (folder / "corpus" / f"{split}.jsonl.gz").is_file() and (packed / shards.INDEX).is_file():
        return shards.read(packed, split)
    return corpus.read(folder / "corpus", split)


def find_tokenizer(folder: Path, size: str, tokenizer_file: Path, init_from: Path | None) -> Path:
    """The tokenizer's file: the size's own, else the shards', else that of the weights that the run begins with."""
    found = [tokenizer_file, shards_path(folder, size) / shards.TOKENIZER]
    found += [init_from / "tokenizer.json"] if init_from else []
    for path in found:
        if path.is_file():
            return path
    raise InputError(f"no tokenizer at {tokenizer_file}: run `quicksilver train tokenizer --size {size}` first")


def open_stream(
    folder: Path, size: str, split: corpus.Split, tokenizer_file: Path, samples: SampleConfig
) -> SampleStream:
    """The samples of one split."""
    return SampleStream(read_documents(folder, size, split), CodeTokenizer.load(tokenizer_file), samples)
