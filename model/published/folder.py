"""A published checkpoint's folder, read and checked: config.json, safetensors in one file or in shards, a tokenizer.

Never pickle, never code from the folder, never the network. Weights stay memory-mapped if their number format is the
wanted one, so that a model may be larger than half of the memory.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..config import DenoiserConfig
from ..storage.folder_files import MAX_TOKENIZER_BYTES, check_memory, excerpt, is_there, read_json, sha256_of
from ..storage.safetensors_header import Header, read_header
from ..tokenizers.chat_template import ChatTemplate
from ..tokenizers.marks import HoleMarks
from ..tokenizers.rules import is_token_id
from .backbone import Backbone, weight_shapes
from .chat import read_chat
from .families import Family, block_of, family_of, shape_of
from .quantised import WeightFormat, narrow
from .tokens import PublishedTokenizer, read_tokenizer, text_of

logger = logging.getLogger(__name__)

CONFIG, GENERATION = "config.json", "generation_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
READABLE = ("F32", "F16", "BF16")
MAX_SHARDS = 1_000
N_HASHED = 2  # files side by side


@dataclass(frozen=True, kw_only=True)
class Specials:
    """Ids of tokens that are not text: mask, those that end a text (the first stands for all), the one that a sequence
    opens with, the one that stands for two masks, if any, and the marks of a hole's parts, if any."""

    mask: int
    ends: tuple[int, ...]
    opening: int
    expand: int | None
    marks: HoleMarks | None


@dataclass(frozen=True, kw_only=True)
class Published:
    """A loaded checkpoint. block: tokens of a block, if the family sees in blocks. sha256: of all weight files. chat:
    how it is told a conversation, if it was taught that."""

    folder: Path
    name: str
    family: Family
    shape: DenoiserConfig
    block: int
    model: Backbone
    tokenizer: PublishedTokenizer
    specials: Specials
    sha256: str
    chat: ChatTemplate | None = None


def load(
    folder: Path,
    *,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.bfloat16,
    weights: WeightFormat | None = None,
    family_name: str | None = None,
) -> Published:
    """Read a folder. weights: round matrices to one byte a number. Raises CheckpointError with one line for people."""
    start_s = time.monotonic()
    config = read_json(folder / CONFIG)
    tokenizer, tokenizer_config = read_tokenizer(folder)
    family = family_of(config, frozenset(tokenizer.added), family_name)
    files = weight_files(folder)
    shape = _shape(family, config, files)
    places = _places(folder, family, shape, files)
    device = device or torch.device("cpu")
    if device.type == "cpu":
        check_memory(folder, _n_bytes(shape, dtype, weights))
    check_vocabulary(folder, tokenizer, shape.vocab_size)
    specials = find_specials(folder, family, config, tokenizer, tokenizer_config, shape.vocab_size)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(hash_of, folder, files)
        model = _model(folder, shape, places, device, dtype)
        if weights is not None:
            narrow(model, weights)
        digest = hashing.result()
    logger.info("%s, %d parameters, in %.1f s", family.label, shape.n_parameters, time.monotonic() - start_s)
    return Published(
        folder=folder, name=printable(folder.resolve().name), family=family, shape=shape, model=model.eval(),
        block=block_of(family, config, folder.resolve().name), tokenizer=tokenizer, specials=specials, sha256=digest,
        chat=read_chat(folder, tokenizer_config, tokenizer),
    )  # fmt: skip


def weight_files(folder: Path) -> Mapping[str, Header]:
    """The weight files and the header of each. Raises CheckpointError if one is missing or damaged."""
    if is_there(folder / INDEX):
        places = read_json(folder / INDEX, MAX_TOKENIZER_BYTES).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(x, str) for x in places.values()):
            raise CheckpointError(f"{folder / INDEX} has no weight_map: copy it again")
        wanted = sorted(set(places.values()))
        if len(wanted) > MAX_SHARDS:
            raise CheckpointError(f"{folder / INDEX} names {len(wanted):,} shards, more than any model has")
        for file in wanted:
            if Path(file).name != file:
                name = excerpt(repr(file))
                raise CheckpointError(f"{folder / INDEX} names the file {name} outside its folder: it is not read")
        missing = [file for file in wanted if not is_there(folder / file)]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            name = excerpt(missing[0])
            raise CheckpointError(f"{folder} lacks {name}{more} of its {len(wanted)} shards: copy them too")
    elif is_there(folder / WEIGHTS):
        wanted = [WEIGHTS]
    else:
        pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
        if pickles:
            raise CheckpointError(
                f"{folder} holds {excerpt(pickles[0])}, a pickle, which can run code when it is opened: convert it to "
                "safetensors (docs/published.md)"
            )
        raise CheckpointError(f"there are no weights in {folder}: neither {WEIGHTS} nor {INDEX}")
    return {file: read_header(folder / file) for file in wanted}


def hash_of(folder: Path, files: Iterable[str]) -> str:
    """The SHA-256 of the SHA-256 of each of the folder's files."""
    with ThreadPoolExecutor(N_HASHED) as pool:
        digests = pool.map(sha256_of, [folder / file for file in sorted(files)])
        return hashlib.sha256("".join(digests).encode()).hexdigest()


def _shape(family: Family, config: Mapping[str, Any], files: Mapping[str, Header]) -> DenoiserConfig:
    """The shape by config.json; if that does not say whether head and embedding are one, the files do."""
    if config.get("tie_word_embeddings") is None and config.get("weight_tying") is None:
        heads = [key for key, ours in family.names.whole.items() if ours == "head.weight"]
        has_head = any(name in heads for names in files.values() for name in names)
        config = {**config, "tie_word_embeddings": not has_head}
    return shape_of(family, config)


def _places(
    folder: Path, family: Family, shape: DenoiserConfig, files: Mapping[str, Header]
) -> Mapping[str, tuple[str, str]]:
    """For each weight of the backbone its file and its name there. Raises CheckpointError if they do not fit.

    Only headers have been read by then, and nothing of the model's size has been allocated.
    """
    wanted, found = weight_shapes(shape), {}
    for file, header in files.items():
        for name, tensor in header.items():
            ours = _our_name(folder / file, family, name)
            if ours is None or (ours == "head.weight" and shape.tied):
                continue
            if ours not in wanted:
                raise CheckpointError(f"{folder} has weights for {ours}, which its config.json has no place for")
            if tensor.shape != wanted[ours]:
                raise CheckpointError(f"{ours} in {folder} is {tensor.shape}, not {wanted[ours]} as config.json says")
            if tensor.dtype not in READABLE:
                raise CheckpointError(f"{ours} in {folder} is {tensor.dtype}: convert it to {', '.join(READABLE)}")
            found[ours] = (file, name)
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        raise CheckpointError(
            f"{folder} lacks weights for {missing[0]} ({len(missing)} of {len(wanted)}): copy it again"
        )
    return found


def _our_name(path: Path, family: Family, name: str) -> str | None:
    try:
        return family.names.ours(name)
    except KeyError:
        raise CheckpointError(
            f"{printable(str(path))} has a tensor {excerpt(repr(name))}, which {family.label} has no place for: is it "
            "another family? say which with --family"
        ) from None


def _n_bytes(shape: DenoiserConfig, dtype: torch.dtype, weights: WeightFormat | None) -> int:
    """The memory that the weights take, in bytes."""
    n_embedding = shape.vocab_size * shape.width
    n_narrow = shape.n_parameters - n_embedding if weights else 0
    return n_narrow + (shape.n_parameters - n_narrow) * dtype.itemsize


def _model(
    folder: Path,
    shape: DenoiserConfig,
    places: Mapping[str, tuple[str, str]],
    device: torch.device,
    dtype: torch.dtype,
) -> Backbone:
    """The backbone with its weights, each moved to its final device as it is read."""
    state = {}
    for file in dict.fromkeys(file for file, _ in places.values()):
        with safe_open(folder / file, framework="pt") as stream:
            for ours, (place, name) in places.items():
                if place == file:
                    state[ours] = stream.get_tensor(name).to(device=device, dtype=dtype)
                    check_finite(folder, ours, state[ours])
    with torch.device("meta"):
        model = Backbone(shape)
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False)


def check_finite(folder: Path, name: str, weight: torch.Tensor) -> None:
    """Raise CheckpointError if a weight holds NaN or infinity.

    Reads 11 GB/s of bfloat16 on one core. The hash of the files, taken at the same time, reads 1.4 GB/s (AMD EPYC,
    2026-11-29), so loading takes no longer, and mapped files are read from disk once.
    """
    least, most = torch.aminmax(weight)
    if not bool(torch.isfinite(least) & torch.isfinite(most)):
        raise CheckpointError(f"{name} in {folder} has values that are not numbers, or too large: copy it again")


def check_vocabulary(folder: Path, tokenizer: PublishedTokenizer, vocab_size: int) -> None:
    """Raise CheckpointError if text encodes to ids that the model does not have."""
    most = max(tokenizer.vocabulary.values(), default=0)
    if most >= vocab_size:
        raise CheckpointError(f"{folder} has a token {most:,}, but its model only {vocab_size:,}: copy both again")


def find_specials(
    folder: Path,
    family: Family,
    config: Mapping[str, Any],
    tokenizer: PublishedTokenizer,
    tokenizer_config: Mapping[str, Any],
    vocab_size: int,
) -> Specials:
    """Ids of the special tokens. Raises CheckpointError without a mask or an end, or for ids beyond the model's
    vocabulary."""
    generation = read_json(folder / GENERATION) if is_there(folder / GENERATION) else {}

    def by_text(*texts: str | None) -> int | None:
        ids = (tokenizer.id_of(text) for text in texts if text)
        return next((i for i in ids if is_token_id(i, vocab_size)), None)

    mask = config.get("mask_token_id", generation.get("mask_token_id"))
    if mask is None:
        mask = by_text(text_of(tokenizer_config.get("mask_token")), *family.masks)
    if mask is None and family.mask_id is not None and family.mask_id < tokenizer.n_ids:
        mask = family.mask_id
    if not is_token_id(mask, vocab_size):
        raise CheckpointError(
            f"no mask token was found in {folder} (looked for mask_token_id and {', '.join(family.masks)}; the model "
            f"has {vocab_size:,} ids): copy its tokenizer files too, or say the family with --family"
        )
    given_ends = [*told_ends(config, generation), by_text(text_of(tokenizer_config.get("eos_token")))]
    ends = tuple(dict.fromkeys(end for end in given_ends if is_token_id(end, vocab_size) and end != mask))
    if not ends:
        raise no_end(folder)
    opening = config.get("bos_token_id")
    opening = by_text(text_of(tokenizer_config.get("bos_token"))) if opening is None else opening
    expand = config.get("expand_token_id", by_text(*family.expands))
    return Specials(
        mask=mask,
        ends=ends,
        opening=opening if is_token_id(opening, vocab_size) else ends[0],
        expand=expand if is_token_id(expand, vocab_size) else None,
        marks=HoleMarks.by_text(by_text),
    )


def told_ends(*configs: object) -> list[object]:
    """The tokens that end a text, by any of configs."""
    told = [config.get("eos_token_id") for config in configs if isinstance(config, dict)]
    return [i for each in told for i in (each if isinstance(each, list) else [each])]


def no_end(folder: Path) -> CheckpointError:
    """The error for a folder that names no token that ends a text."""
    return CheckpointError(f"no token that ends a text was found in {folder}: config.json needs an eos_token_id")
