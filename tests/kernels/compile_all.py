"""Compiles every kernel for a GPU that need not be there, and prints the names of those compiled. Run as a script.

It stands in for a GPU's driver and has each launch compile only, so that what reaches the compiler is what a launch
would give it. The sizes are those of a real denoiser: they decide on blocks, and these on registers and memory.
"""

from typing import Any

import torch
import triton
from quicksilver.kernels import canvas_attention, commit, head_stats, int8_matmul, mixture_head, norm_rope
from torch import Tensor
from triton.backends.compiler import GPUTarget

H200 = GPUTarget("cuda", 90, 32)
SHARED_BYTES = 99 * 1024  # what one program may have on the GPUs people own; an H200 has 227 KB
N_CONTEXT, N_SLOTS, N_IDS, WIDTH, N_HEADS, N_KV_HEADS, HEAD_SIZE = 1024, 32, 16_384, 640, 10, 5, 64


class NoDriver:
    """As much of a driver as compiling asks for."""

    def get_current_target(self) -> GPUTarget:
        return H200

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def compile_only(function: Any, grid: tuple[int, ...]) -> Any:
    """What a kernel with a grid gives: here something that compiles and says so."""

    def compiled(*args: Any, **options: Any) -> None:
        n_bytes = function.warmup(*args, grid=grid, **options).metadata.shared
        assert n_bytes <= SHARED_BYTES, f"{function.__name__} takes {n_bytes} bytes of shared memory"
        print(function.__name__)

    return compiled


def zeros(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def attention(n_slots: int, head_size: int, dtype: torch.dtype = torch.bfloat16) -> None:
    q, k = zeros(1, N_HEADS, n_slots, head_size, dtype=dtype), zeros(1, N_KV_HEADS, n_slots, head_size, dtype=dtype)
    pages, table = zeros(65, N_KV_HEADS, 16, head_size, dtype=dtype), zeros(1, 64, dtype=torch.int32)
    canvas_attention.launch(q, pages, pages, table, table[:, 0], k, k, table[:, 0])


def heads(n_rows: int, dtype: torch.dtype = torch.bfloat16) -> None:
    hidden, table, forbidden = zeros(n_rows, WIDTH, dtype=dtype), zeros(N_IDS, WIDTH, dtype=dtype), zeros(N_IDS).bool()
    weights, followers = zeros(n_rows, N_CONTEXT, dtype=torch.float32), zeros(1, N_CONTEXT).long()
    head_stats.launch(hidden, table, forbidden)
    mixture_head.launch(hidden, table, forbidden, weights, followers, weights[:, 0].contiguous())


def steps() -> None:
    canvas, numbers = zeros(1, N_SLOTS).long(), zeros(1, N_SLOTS, dtype=torch.float32)
    commit.launch(canvas, numbers, canvas, numbers, zeros(N_IDS).bool(), mask=N_IDS - 3, end=1, threshold=0.9)


def projections() -> None:
    raw, turns = zeros(1, N_SLOTS, (N_HEADS + 2 * N_KV_HEADS) * HEAD_SIZE), zeros(1, N_SLOTS, HEAD_SIZE // 2).float()
    norm_rope.launch(
        raw, raw, raw[0, 0].float(), raw[0, 0, :HEAD_SIZE], raw[0, 0, :HEAD_SIZE], turns, turns,
        n_heads=N_HEADS, n_kv_heads=N_KV_HEADS, eps=1e-6,
    )  # fmt: skip


def products(n_rows: int, weights: torch.dtype, dtype: torch.dtype = torch.bfloat16) -> None:
    weight = zeros(WIDTH, WIDTH, dtype=torch.int8).view(weights)
    int8_matmul.launch(zeros(n_rows, WIDTH, dtype=dtype), weight, zeros(WIDTH).float())


def main() -> None:
    """Shapes of a GPU's model; float32, which takes most memory; and ones, which Triton compiles in as constants."""
    triton.runtime.driver.set_active(NoDriver())  # pyright: ignore[reportArgumentType]
    setattr(triton.KernelInterface, "__getitem__", compile_only)  # noqa: B010
    for module in (canvas_attention, head_stats, mixture_head, int8_matmul):
        vars(module)["n_processors"] = lambda device: 132
    attention(N_SLOTS, HEAD_SIZE)
    attention(N_SLOTS, 128, torch.float16)
    attention(1, 12, torch.float32)
    heads(N_SLOTS)
    heads(1, torch.float32)
    steps()
    projections()
    products(N_SLOTS, torch.int8)
    products(1, torch.float8_e4m3fn)
    products(64, torch.int8, torch.float32)


if __name__ == "__main__":
    main()
