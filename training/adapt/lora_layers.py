"""A LoRA on a frozen denoiser: its layers, which weights it learns, and the file that it is written to.

The file's format is that of `checkpoint.lora`, which reads it. Letters: D in, O out, R rank.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor, nn

from ...fim.files.atomic_write import replace_whole
from ...model.network.denoiser import Denoiser
from ...model.network.transformer import TransformerBlock

TARGETS = ("attention.qkv", "attention.out", "ffn.gate_up", "ffn.down")
A, B = ".a", ".b"


class LoraLinear(nn.Module):
    """A frozen linear layer, and a thin product that is added to it: W x + scale * B A x. B starts at zero."""

    def __init__(self, plain: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.weight, self.bias, self.scale = plain.weight, plain.bias, scale
        n_out, n_in = plain.weight.shape
        self.a = nn.Parameter(torch.randn(rank, n_in, device=plain.weight.device) * n_in**-0.5)
        self.b = nn.Parameter(torch.zeros(n_out, rank, device=plain.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        """x [..., D] to [..., O], in the dtype of x."""
        thin = F.linear(x, self.a.to(x.dtype))
        return F.linear(x, self.weight, self.bias) + F.linear(thin, (self.scale * self.b).to(x.dtype))


def add_lora(model: Denoiser, rank: int, scale: float, seed: int) -> dict[str, nn.Parameter]:
    """Freeze a denoiser, put a LoRA on the matrices of its blocks, and return what is learnt, by its name in the file.

    Nothing of what the model computes changes before the first step.
    """
    torch.manual_seed(seed)
    model.requires_grad_(False)
    found: dict[str, nn.Parameter] = {}
    for i, block in enumerate(model.blocks):
        assert isinstance(block, TransformerBlock)
        for target in TARGETS:
            part, _, name = target.partition(".")
            owner = block.get_submodule(part)
            plain = owner.get_submodule(name)
            assert isinstance(plain, nn.Linear)
            layer = LoraLinear(plain, rank, scale)
            setattr(owner, name, layer)
            key = f"blocks.{i}.{target}.weight"
            found[key + A], found[key + B] = layer.a, layer.b
    return found


def write_lora(path: Path, tensors: Mapping[str, Tensor], scale: float, facts: Mapping[str, str]) -> None:
    """Write a LoRA in float16, whole or not at all. facts go into the metadata. Raises OSError."""
    part = path.with_name(path.name + ".part")
    half = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()}
    save_file(half, part, metadata={"scale": str(scale), **facts})
    replace_whole(path, part)
