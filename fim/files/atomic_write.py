"""Replaces files whole or not at all."""

import os
from pathlib import Path


def replace_whole(path: Path, part: Path) -> None:
    """Put the written file part in path's place, so that neither a kill nor a power cut leaves half of it."""
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(path)


def write_whole(path: Path, text: str) -> None:
    """Write text as UTF-8. Raises OSError; then path is unchanged.

    A link is followed. What is no regular file, such as a pipe or a device, is written to and not replaced.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        replace_whole(path, part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
