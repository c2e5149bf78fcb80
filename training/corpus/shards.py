"""The corpus as compressed tokens: small enough to carry to another machine, and exact.

Owns the files: `index.json`, the tokenizer, and shards, each of which starts with a magic line and a JSON header and
holds the documents' names and token ids, compressed with LZMA. Byte-level BPE loses nothing, so `read` gives back every
document character by character.
"""

import hashlib
import itertools
import json
import lzma
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...fim.errors import CheckpointError, InputError
from ...model.tokenizers.code_tokenizer import CodeTokenizer
from .corpus import CorpusDocument, Split, replacing

FORMAT = 1
MAGIC = b"quicksilver token shard\n"
INDEX, TOKENIZER = "index.json", "tokenizer.json"
N_TOKENS_PER_SHARD = 16_000_000  # about 9 MB compressed: several are read side by side, none is near 60 MB
N_BATCH_CHARS = 4_000_000
N_DECODE_TOKENS = 1_000_000  # at a time: bounds the memory of the gather
N_THREADS = 2  # LZMA, SHA-256 and numpy let go of the interpreter
# Two-byte ids in their order, with LZMA told about the pairs. 6.9M tokens (2026-11-21): 4.68 bits a token so, 4.70 with
# plain preset 9, 4.71 with preset 6, 5.84 with bz2, 6.70 as differences, 6.71 as planes of high and low bytes.
_IDS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 3, "lp": 1, "pb": 1}]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One line of the index."""

    file: str
    split: Split
    sha256: str
    n_bytes: int
    n_documents: int
    n_tokens: int


def write(
    folder: Path,
    splits: Mapping[Split, Iterable[CorpusDocument]],
    tokenizer_file: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Shard]:
    """Write the shards of all splits with their tokenizer, whole or not at all; progress gets characters done.

    Raises InputError when ids do not fit 16 bits or folder holds other files, CheckpointError without a tokenizer.
    """
    tokenizer = CodeTokenizer.load(tokenizer_file)
    if tokenizer.n_text > 1 << 16:
        raise InputError(f"the tokenizer has {tokenizer.n_text} ids, and shards hold 65,536: train a smaller one")
    tokenizer_hash = _sha256(tokenizer_file.read_bytes())
    shards: list[Shard] = []
    with replacing(folder, [INDEX, TOKENIZER, "*.shard"]) as part, ThreadPoolExecutor(N_THREADS) as pool:
        shutil.copyfile(tokenizer_file, part / TOKENIZER)
        for split, documents in splits.items():
            pending: list[Future[Shard]] = []
            for number, (group, ids) in enumerate(_groups(documents, tokenizer, progress)):
                path = part / f"{split}-{number:03}.shard"
                pending.append(pool.submit(_write_shard, path, split, group, ids, tokenizer_hash))
                if len(pending) > N_THREADS:  # else the tokens of a whole corpus would wait in memory
                    shards.append(pending.pop(0).result())
            shards += [future.result() for future in pending]
        index = {"format": FORMAT, "tokenizer": tokenizer_hash, "shards": [vars(shard) for shard in shards]}
        (part / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return shards


def read(folder: Path, split: Split) -> list[CorpusDocument]:
    """The documents of one split, exactly as they were written. Raises InputError when shards are unusable."""
    index, tokenizer = _index(folder)
    lengths = np.array([len(tokenizer.bytes_of(i)) for i in range(tokenizer.n_text)], dtype=np.int64)
    table = np.frombuffer(b"".join(map(tokenizer.bytes_of, range(tokenizer.n_text))), dtype=np.uint8)
    shards = [shard for shard in index["shards"] if shard["split"] == split]
    if not shards:
        raise InputError(
            f"the shards in {folder} hold no {split} split: make them again with `quicksilver train shards`"
        )
    with ThreadPoolExecutor(N_THREADS) as pool:
        found = pool.map(lambda shard: _read_shard(folder, shard, index["tokenizer"], lengths, table), shards)
        return list(itertools.chain.from_iterable(found))


def _groups(
    documents: Iterable[CorpusDocument], tokenizer: CodeTokenizer, progress: Callable[[int], None]
) -> Iterator[tuple[list[CorpusDocument], list[np.ndarray]]]:
    """Documents with their ids (uint16 [tokens]), as many at a time as a shard takes."""
    group: list[CorpusDocument] = []
    ids: list[np.ndarray] = []
    for batch in _batches(documents):
        group += batch
        ids += [np.array(each, dtype=np.uint16) for each in tokenizer.encode_batch([d.text for d in batch])]
        progress(sum(len(document.text) for document in batch))
        if sum(map(len, ids)) >= N_TOKENS_PER_SHARD:
            yield group, ids
            group, ids = [], []
    if group:
        yield group, ids


def _batches(documents: Iterable[CorpusDocument]) -> Iterator[list[CorpusDocument]]:
    batch: list[CorpusDocument] = []
    n_chars = 0
    for document in documents:
        batch.append(document)
        n_chars += len(document.text)
        if n_chars >= N_BATCH_CHARS:
            yield batch
            batch, n_chars = [], 0
    if batch:
        yield batch


def _write_shard(
    path: Path, split: Split, documents: Sequence[CorpusDocument], ids: Sequence[np.ndarray], tokenizer_hash: str
) -> Shard:
    names = [[document.package, document.path, len(each)] for document, each in zip(documents, ids, strict=True)]
    packed_names = lzma.compress(json.dumps(names).encode(), preset=9)
    n_tokens = sum(map(len, ids))
    joined = np.concatenate(ids).astype("<u2").tobytes()
    packed_ids = lzma.compress(joined, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=_IDS)
    header = {"format": FORMAT, "split": split, "tokenizer": tokenizer_hash, "n_tokens": n_tokens}
    sizes = {"n_names_bytes": len(packed_names), "n_ids_bytes": len(packed_ids)}
    raw = MAGIC + json.dumps({**header, **sizes}).encode() + b"\n" + packed_names + packed_ids
    path.write_bytes(raw)
    return Shard(
        file=path.name,
        split=split,
        sha256=_sha256(raw),
        n_bytes=len(raw),
        n_documents=len(names),
        n_tokens=n_tokens,
    )


def _index(folder: Path) -> tuple[dict[str, Any], CodeTokenizer]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        wanted = {"format": int, "tokenizer": str, "shards": list}
        if not all(isinstance(index[key], kind) for key, kind in wanted.items()):
            raise ValueError("it is no index of shards")
        index["shards"] = [vars(Shard(**shard)) for shard in index["shards"]]
    except FileNotFoundError:
        raise InputError(f"no token shards at {path}: run `quicksilver train shards` first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if index["format"] != FORMAT:
        raise InputError(f"{path} has format {index['format']}, this version reads {FORMAT}: make the shards again")
    file = folder / TOKENIZER
    try:
        if _sha256(file.read_bytes()) != index["tokenizer"]:
            raise _damaged(file, "it is not the tokenizer that the shards were made with")
        return index, CodeTokenizer.load(file)
    except (OSError, CheckpointError) as error:
        raise _damaged(file, error) from error


def _read_shard(
    folder: Path, shard: Mapping[str, Any], tokenizer_hash: str, lengths: np.ndarray, table: np.ndarray
) -> list[CorpusDocument]:
    path = folder / Path(str(shard["file"])).name
    try:
        raw = path.read_bytes()
        if not raw.startswith(MAGIC):
            raise ValueError("it is no token shard")
        if _sha256(raw) != shard["sha256"]:
            raise ValueError("its content is not what the index says")
        start = raw.index(b"\n", len(MAGIC)) + 1
        header = json.loads(raw[len(MAGIC) : start])
        if header["format"] != FORMAT or header["tokenizer"] != tokenizer_hash or header["split"] != shard["split"]:
            raise ValueError("it belongs to other shards")
        middle = start + header["n_names_bytes"]
        names = json.loads(lzma.decompress(raw[start:middle]))
        ids = np.frombuffer(lzma.decompress(raw[middle : middle + header["n_ids_bytes"]]), dtype="<u2")
        return list(_documents(names, ids, lengths, table))
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, lzma.LZMAError) as error:
        raise _damaged(path, error) from error


def _documents(
    names: Sequence[tuple[str, str, int]], ids: np.ndarray, lengths: np.ndarray, table: np.ndarray
) -> Iterator[CorpusDocument]:
    """Documents from their names and all their ids, uint16 [tokens]; the table holds the bytes of every id in a row."""
    starts = np.cumsum(lengths) - lengths
    token_ends = np.concatenate([[0], np.cumsum(lengths[ids])])
    parts = [
        _gather(ids[at : at + N_DECODE_TOKENS], lengths, starts, table) for at in range(0, len(ids), N_DECODE_TOKENS)
    ]
    text = b"".join(parts)
    at = 0
    for package, path, n_tokens in names:
        yield CorpusDocument(package, path, text[token_ends[at] : token_ends[at + n_tokens]].decode("utf-8"))
        at += n_tokens


def _gather(ids: np.ndarray, lengths: np.ndarray, starts: np.ndarray, table: np.ndarray) -> bytes:
    """The bytes of ids, one after another."""
    n_bytes = lengths[ids]
    ends = np.cumsum(n_bytes)
    shift = np.repeat(starts[ids] - (ends - n_bytes), n_bytes)
    return table[shift + np.arange(len(shift))].tobytes()


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _damaged(path: Path, error: object) -> InputError:
    return InputError(f"{path} cannot be used ({error}): copy the shards again, or run `quicksilver train shards`")
