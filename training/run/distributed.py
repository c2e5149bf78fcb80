"""Several processes training as one: gradients and losses averaged, decisions taken by rank 0.

`torchrun` sets RANK, WORLD_SIZE and LOCAL_RANK. Without it there is one process and nothing to agree on.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

# Its functions take the group of the moment of their import as a default and keep it for good. An optimizer's first
# step imports it, after the group is there; gloo's threads then outlive the group, and one that drops a tensor while
# the interpreter ends aborts the process (PyTorch 2.13: one run in 30, 2026-11-27). Imported here, it keeps nothing.
import torch.distributed.nn
from torch import Tensor

from ...fim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's place among n processes."""

    rank: int = 0
    n: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process logs, saves and decides."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors of one device by their means over all ranks, in place, in one message a dtype."""
        if self.n == 1:
            return
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for parts in by_dtype.values():
            flat = torch.cat([part.flatten() for part in parts])
            dist.all_reduce(flat)
            flat /= self.n
            for part, mean in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
                part.copy_(mean.view_as(part))

    def agree(self, values: Iterable[float], device: torch.device) -> list[float]:
        """Rank 0's values, on every rank."""
        values = list(values)
        if self.n == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(shared, 0)
        return shared.tolist()

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether flag is set on any rank."""
        if self.n == 1:
            return flag
        shared = torch.tensor(float(flag), device=device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared)


ALONE = Ranks()


@contextmanager
def joining_ranks(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """This process among those that torchrun started, and its device, while this lasts."""
    try:
        n, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    except ValueError:
        raise InputError("WORLD_SIZE and LOCAL_RANK must be numbers: torchrun sets them") from None
    if n == 1:
        yield ALONE, torch.device(device)
        return
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise InputError(
                f"{n} processes, but only {torch.cuda.device_count()} GPUs: give torchrun one process a GPU"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Ranks(rank=dist.get_rank(), n=n), torch.device(device, local) if device == "cuda" else torch.device("cpu")
    finally:
        dist.destroy_process_group()
