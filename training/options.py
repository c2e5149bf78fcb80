"""Options that several steps of `quicksilver train` have."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from ..fim.terminal.options import Option


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """The folder in which steps find what the steps before wrote."""

    folder: Annotated[Path, Option("where corpus and runs live")] = Path("runs")


@dataclass(frozen=True, kw_only=True)
class SizeOptions(FolderOptions):
    """The same, for one size of model."""

    size: Annotated[Literal["nano", "base"], Option("of the model")] = "nano"
