"""How much arithmetic a token costs, and how much of the device's peak a run uses (MFU)."""

import time

import torch

from ...model.config import DenoiserConfig

# Dense bfloat16 peaks by the vendors' datasheets, in FLOP/s; the first whose name is part of the device's.
PEAKS = (
    ("H200", 990e12), ("H100 PCIe", 756e12), ("H100", 990e12), ("A100", 312e12), ("L40S", 362e12), ("L4", 121e12),
    ("4090", 165e12),
)  # fmt: skip


def flops_per_context_token(shape: DenoiserConfig, n_context: int, n_canvas_tokens: int) -> float:
    """Floating-point operations of training, per context token: forward and backward, nothing counted twice.

    n_canvas_tokens: canvas tokens that go with a sample of n_context context tokens. A matrix costs 6 operations a
    weight and token; attention 12 a head unit and pair, pairs counted where the mask allows them.
    """
    attention_width = shape.n_heads * shape.head_size
    layer = shape.width * (shape.qkv_width + attention_width + 3 * shape.ffn_width)
    matrices = shape.n_layers * layer + shape.vocab_size * shape.width + 2 * shape.width * shape.copy_size
    n_tokens = n_context + n_canvas_tokens
    n_pairs = n_context**2 / 2 + n_canvas_tokens * (n_context / 2 + shape.n_canvas)
    n_copied = n_tokens * n_context / 2
    operations = (
        6 * matrices * n_tokens + 12 * shape.n_layers * attention_width * n_pairs + 6 * shape.copy_size * n_copied
    )
    return operations / n_context


def peak_flops(device: torch.device) -> float | None:
    """The device's peak in FLOP/s: from its datasheet, on a CPU measured; None for an unknown GPU."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return next((peak for part, peak in PEAKS if part in name), None)
    side = 1024
    a, b = torch.ones(side, side, dtype=torch.bfloat16), torch.ones(side, side, dtype=torch.bfloat16)
    best_s = float("inf")
    for _ in range(4):
        start_s = time.perf_counter()
        torch.mm(a, b)
        best_s = min(best_s, time.perf_counter() - start_s)
    return 2 * side**3 / best_s
