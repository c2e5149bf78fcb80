"""What an engine does while PyTorch is still being imported: read the checkpoint, and compile it for the CPU.

`import torch` is a second of Python on one core; OpenVINO compiles beside it, without Python's lock, on the other.
"""

import importlib.util
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...fim.errors import CheckpointError
from ...fim.models.formats import Dtype
from ..checkpoint.checkpoint_files import StoredCheckpoint, read

if TYPE_CHECKING:
    from .openvino_compile import CompiledGraph

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeadStart:
    """What is done already: a folder as read, and its graph."""

    stored: StoredCheckpoint
    graph: "CompiledGraph"


class HeadStartWork:
    """A head start on its way, in a thread of its own."""

    def __init__(self, folder: Path, dtype: Dtype | None, n_threads: int | None) -> None:
        self._result: HeadStart | None = None
        self._refusal: CheckpointError | None = None
        # A daemon: a process that is told to end need not wait for it.
        self._thread = threading.Thread(target=self._work, args=(folder, dtype, n_threads), daemon=True)
        self._thread.start()

    def result(self) -> HeadStart | None:
        """What came of it, once it has ended; None where OpenVINO is of no use: whoever does it again then, says why.

        Raises CheckpointError where the folder holds no checkpoint that can be used.
        """
        self._thread.join()
        if self._refusal is not None:
            raise self._refusal
        return self._result

    def _work(self, folder: Path, dtype: Dtype | None, n_threads: int | None) -> None:
        try:
            self._result = _made(folder, dtype, n_threads)
        except CheckpointError as error:
            self._refusal = error
        except Exception as error:  # it is done again without a head start, and says what is wrong then
            logger.info("no head start (%s)", type(error).__name__)


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def _made(folder: Path, dtype: Dtype | None, n_threads: int | None) -> HeadStart:
    stored = read(folder)
    from .openvino_compile import compile_graph, fastest_type

    states_type = fastest_type() if dtype is None else "bf16" if dtype == "bfloat16" else "f32"
    return HeadStart(stored, compile_graph(stored.shape, stored.weights, states_type, n_threads))
