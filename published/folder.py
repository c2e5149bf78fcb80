"""A published checkpoint's folder, read and checked: config.json, safetensors in one file or in shards, a tokenizer.

Never pickle, never code of the folder, never the network. Weights stay memory-mapped where their number format is the
wanted one, so that a model may be larger than half of the memory.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ..fim.errors import CheckpointError
from .backbone import Backbone
from .families import Family, block_of, family_of, shape_of
from .quantised import WeightFormat, narrow
from .shape import BackboneShape
from .tokens import PublishedTokenizer, read_json, read_tokenizer, text_of

logger = logging.getLogger(__name__)

CONFIG, GENERATION = "config.json", "generation_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
READABLE = (torch.float32, torch.float16, torch.bfloat16)
N_HASHED = 2  # files side by side
TOO_LITTLE_MEMORY = "there is not enough memory for this request: close something, or send less text"


@dataclass(frozen=True, kw_only=True)
class Specials:
    """Ids of tokens that are no text: mask, those that end a text (the first stands for all), what a sequence opens
    with, what stands for two masks (None: nothing does), and the three that mark prefix, suffix and middle, if any."""

    mask: int
    ends: tuple[int, ...]
    opening: int
    expand: int | None
    fim: tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class Published:
    """A loaded checkpoint. block: tokens of a block, where the family sees in blocks. sha256: of all weight files."""

    folder: Path
    name: str
    family: Family
    shape: BackboneShape
    block: int
    model: Backbone
    tokenizer: PublishedTokenizer
    specials: Specials
    sha256: str


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
    specials = find_specials(folder, family, config, tokenizer, tokenizer_config, shape.vocab_size)
    with ThreadPoolExecutor(1) as pool:
        hashing = pool.submit(hash_of, folder, files)
        model = _model(folder, family, shape, files, device or torch.device("cpu"), dtype)
        if weights is not None:
            narrow(model, weights)
        digest = hashing.result()
    logger.info("%s, %d parameters, in %.1f s", family.label, shape.n_parameters, time.monotonic() - start_s)
    return Published(
        folder=folder, name=folder.resolve().name, family=family, shape=shape, model=model.eval(),
        block=block_of(family, config, folder.resolve().name), tokenizer=tokenizer, specials=specials, sha256=digest,
    )  # fmt: skip


def weight_files(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """The weight files and the names of the tensors in each. Raises CheckpointError where one is missing or damaged."""
    if (folder / INDEX).is_file():
        places = read_json(folder / INDEX).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(x, str) for x in places.values()):
            raise CheckpointError(f"{folder / INDEX} has no weight_map: copy it again")
        wanted = sorted(set(places.values()))
        for file in wanted:
            if Path(file).name != file:
                raise CheckpointError(f"{folder / INDEX} names the file {file!r} outside its folder: it is not read")
        missing = [file for file in wanted if not (folder / file).is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise CheckpointError(f"{folder} lacks {missing[0]}{more} of its {len(wanted)} shards: copy them too")
    elif (folder / WEIGHTS).is_file():
        wanted = [WEIGHTS]
    else:
        pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
        if pickles:
            raise CheckpointError(
                f"{folder} holds {pickles[0]}, a pickle, which can run code when it is opened: convert it to "
                "safetensors (docs/published.md)"
            )
        raise CheckpointError(f"there are no weights in {folder}: neither {WEIGHTS} nor {INDEX}")
    found: dict[str, tuple[str, ...]] = {}
    for file in wanted:
        try:
            with safe_open(folder / file, framework="pt") as stream:
                found[file] = tuple(stream.keys())
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{folder / file} is damaged ({error}): copy it again") from error
    return found


def hash_of(folder: Path, files: Iterable[str]) -> str:
    """The SHA-256 of the SHA-256 of each of the folder's files."""
    with ThreadPoolExecutor(N_HASHED) as pool:
        digests = pool.map(_sha256, [folder / file for file in sorted(files)])
        return hashlib.sha256("".join(digests).encode()).hexdigest()


def _shape(family: Family, config: Mapping[str, Any], files: Mapping[str, tuple[str, ...]]) -> BackboneShape:
    """The shape by config.json; whether head and embedding are one is seen in the files where it is not said."""
    if config.get("tie_word_embeddings") is None and config.get("weight_tying") is None:
        heads = [key for key, ours in family.names.whole.items() if ours == "head.weight"]
        has_head = any(name in heads for names in files.values() for name in names)
        config = {**config, "tie_word_embeddings": not has_head}
    return shape_of(family, config)


def _model(
    folder: Path,
    family: Family,
    shape: BackboneShape,
    files: Mapping[str, tuple[str, ...]],
    device: torch.device,
    dtype: torch.dtype,
) -> Backbone:
    """The backbone with its weights, each put where it will stay as it is read."""
    wanted, state = shape.weight_shapes(), {}
    for name, tensor in _tensors(folder, family, files):
        if name == "head.weight" and shape.tied:
            continue
        if name not in wanted:
            raise CheckpointError(f"{folder} has weights for {name}, which its config.json has no place for")
        if tuple(tensor.shape) != wanted[name]:
            raise CheckpointError(
                f"{name} in {folder} is {tuple(tensor.shape)}, not {wanted[name]} as config.json says"
            )
        if tensor.dtype not in READABLE:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(f"{name} in {folder} is {kind}: convert it to bfloat16, float16 or float32")
        state[name] = tensor.to(device=device, dtype=dtype)
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise CheckpointError(
            f"{folder} lacks weights for {missing[0]} ({len(missing)} of {len(wanted)}): copy it again"
        )
    with torch.device("meta"):
        model = Backbone(shape)
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False)


def _tensors(folder: Path, family: Family, files: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Our names and the tensors, mapped into memory."""
    for file, names in files.items():
        with safe_open(folder / file, framework="pt") as stream:
            for name in names:
                try:
                    ours = family.names.ours(name)
                except KeyError:
                    raise CheckpointError(
                        f"{folder / file} has a tensor {name!r}, which {family.label} has no place for: is it another "
                        "family? say which with --family"
                    ) from None
                if ours is not None:
                    yield ours, stream.get_tensor(name)


def find_specials(
    folder: Path,
    family: Family,
    config: Mapping[str, Any],
    tokenizer: PublishedTokenizer,
    tokenizer_config: Mapping[str, Any],
    vocab_size: int,
) -> Specials:
    """Ids of mask, ends, opening and the rest. Raises CheckpointError without a mask or an end, or beyond the model's
    vocabulary."""
    generation = read_json(folder / GENERATION) if (folder / GENERATION).is_file() else {}

    def by_text(*texts: str | None) -> int | None:
        return next((i for text in texts if text and (i := tokenizer.id_of(text)) is not None), None)

    mask = config.get("mask_token_id", generation.get("mask_token_id"))
    if mask is None:
        mask = by_text(text_of(tokenizer_config.get("mask_token")), *family.masks)
    if mask is None and family.mask_id is not None and family.mask_id < tokenizer.n_ids:
        mask = family.mask_id
    if not isinstance(mask, int) or not 0 <= mask < vocab_size:
        raise CheckpointError(
            f"no mask token was found in {folder} (looked for mask_token_id and {', '.join(family.masks)}; the model "
            f"has {vocab_size:,} ids): copy its tokenizer files too, or say the family with --family"
        )
    given_ends: list[object] = []
    for source in (config, generation):
        given = source.get("eos_token_id")
        given_ends += given if isinstance(given, list) else [given]
    given_ends.append(by_text(text_of(tokenizer_config.get("eos_token"))))
    ends = [end for end in dict.fromkeys(given_ends) if isinstance(end, int) and 0 <= end < vocab_size and end != mask]
    if not ends:
        raise CheckpointError(f"no token that ends a text was found in {folder}: config.json needs an eos_token_id")
    opening = config.get("bos_token_id")
    opening = by_text(text_of(tokenizer_config.get("bos_token"))) if opening is None else opening
    expand = config.get("expand_token_id", by_text(*family.expands))
    marks = tuple(by_text(f"<|fim_{part}|>") for part in ("prefix", "suffix", "middle"))
    return Specials(
        mask=mask,
        ends=tuple(ends),
        opening=opening if isinstance(opening, int) and 0 <= opening < vocab_size else ends[0],
        expand=expand if isinstance(expand, int) and 0 <= expand < vocab_size else None,
        fim=None if None in marks else (marks[0] or 0, marks[1] or 0, marks[2] or 0),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
