"""The checkpoint folder of a model that a person names; a GGUF file is converted once and kept."""

import hashlib
import logging
from pathlib import Path

from ...fim.errors import CheckpointError
from ...fim.files.user_folders import converted_folder
from ...fim.models.embedded import is_gguf
from ...fim.text.printable import printable
from ..checkpoint.checkpoint_files import CONFIG, MAX_NAME, TOKENIZER, WEIGHTS, write_config
from ..storage.folder_files import excerpt, open_file, read_json, sha256_of

logger = logging.getLogger(__name__)

N_HEAD_BYTES = 2**20  # of a file; with its size and time they identify it
IMPORT = 1  # raise it when the result of a conversion changes


def checkpoint_folder(model: Path) -> Path:
    """The folder of model: itself, or the converted copy of a GGUF file.

    Raises CheckpointError. Converting a file of .5 GB takes about 10 s.
    """
    return converted_copy(model) if is_gguf(model) and not model.is_dir() else model


def converted_copy(path: Path) -> Path:
    """The copy of the GGUF file at path, made now if there is none. Raises CheckpointError."""
    folder = converted_folder() / f"{printable(path.stem)[:MAX_NAME]}-{_key(path)}"
    if not is_whole(folder):
        from .convert import import_gguf
        from .file import read_gguf  # only to convert: importing `gguf` takes .2 s

        logger.info("converting a GGUF file of %d MB", path.stat().st_size // 1_000_000)
        licence = read_gguf(path).fields.get("general.license")
        source = {
            "file": printable(path.name),
            "sha256": sha256_of(path),
            "licence": excerpt(licence) if isinstance(licence, str) else "unknown",
        }
        import_gguf(path, folder, name=printable(path.stem)[:MAX_NAME] or "gguf", source=source)
    elif "chat" not in (config := read_json(folder / CONFIG)):  # converted before templates were kept
        from .file import read_gguf
        from .tokenizer import chat_config

        write_config(folder, {**config, **chat_config(read_gguf(path))})
    return folder


def _key(path: Path) -> str:
    """What identifies this state of a file: its size, its time and its beginning."""
    with open_file(path, None) as stream:
        head = hashlib.sha256(stream.read(N_HEAD_BYTES)).hexdigest()
    state = path.stat()
    return hashlib.sha256(f"{IMPORT}\0{state.st_size}\0{state.st_mtime_ns}\0{head}".encode()).hexdigest()[:12]


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint folder is there and its files have the hashes in its config."""
    try:
        hashes = read_json(folder / CONFIG)["sha256"]
        return all(sha256_of(folder / file) == hashes[file] for file in (WEIGHTS, TOKENIZER))
    except (CheckpointError, KeyError, TypeError):
        return False
