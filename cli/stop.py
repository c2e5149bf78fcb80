"""`quicksilver stop`: ends this user's engines."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..fim.models.embedded import NAMES
from ..fim.terminal.options import model_option, read_command_line
from ..serving.client.process_control import end_process
from ..serving.paths import EngineInfo, find_home


@dataclass(frozen=True, kw_only=True)
class StopOptions:
    """What `quicksilver stop` was asked."""

    model: Annotated[
        Path | None, model_option(f"only the one of {', '.join(NAMES)}, a folder or a GGUF file (default: all)")
    ] = None


def main(argv: Sequence[str]) -> int:
    """End the engines that argv names and say which ones; returns 0, also if none runs.

    Raises InputError for a bad option and EngineUnavailable for an engine that cannot be ended.
    """
    options = read_command_line(
        StopOptions, argv, prog="quicksilver stop", description="Stop the engines of this user."
    )
    home = find_home(options.model)
    files = [home.info_file] if options.model is not None else sorted(home.folder.glob("engine-*.json"))
    stopped = asyncio.run(_end_all(files))
    for info in stopped:
        print(f"stopped the engine (process {info.pid})")
    if not stopped:
        print("no engine is running")
    return 0


async def _end_all(files: Sequence[Path]) -> list[EngineInfo]:
    ended = await asyncio.gather(*(end_process(file) for file in files))
    return [info for info in ended if info is not None]
