"""Answers asks on the CPU with OpenVINO: int8 matrices, one graph for a whole forward.

For a canvas of 24 after 1,000 tokens PyTorch's bfloat16 takes 1.4 to 1.6 times as long on two cores (decision 13).
Rows of several asks run one after the other: on a CPU there is nothing to win by laying them together.

Copying, which counts matches and works on integers, stays in PyTorch (`forwards.mixed`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .asks import Ask, Branches, Context, Laid, Reply, laid, no_fill
from .blocks import LayerStates, rotary
from .config import DenoiserConfig
from .copy_head import CopyHead
from .denoiser import N_ROOM, ContextStates, stack
from .forwards import mixed
from .openvino_compile import CompiledGraphs

if TYPE_CHECKING:
    import openvino as ov

ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # numbers of new tokens that the runtime sees
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class OpenVinoRunner:
    """A `forwards.Runner`. Context states are as PyTorch's runner makes them, in the graphs' type."""

    def __init__(self, config: DenoiserConfig, copy_head: CopyHead, graphs: CompiledGraphs) -> None:
        self.config, self.copy_head = config, copy_head
        self.dtype = DTYPES[graphs.states_type]
        self._branches, self._context = graphs.branches, graphs.context

    @torch.inference_mode()
    def __call__(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply an ask, in their order."""
        return [self._states(ask) if isinstance(ask, Context) else self._log_probs(ask) for ask in no_fill(asks)]

    def _log_probs(self, ask: Branches) -> Tensor:
        line = laid(ask)
        n = len(line.tokens)
        hidden, plain = self._infer(self._branches, line, ask.states)
        return mixed(self.copy_head, ask, line, hidden[:n], plain[:n])

    def _states(self, ask: Context) -> ContextStates:
        n = ask.tokens.shape[1]
        place = torch.arange(n)
        line = Laid(ask.tokens[0], place, place, torch.ones(n, n, dtype=torch.bool).tril_(), is_canvas=False)
        hidden, keys, values, raws = self._infer(self._context, line, ask.past)
        copy_keys = self.copy_head.keys(hidden[:n].unsqueeze(0))
        raws = raws[:, :n].to(self.dtype)
        layers = [
            LayerStates(keys[i : i + 1, :, :n], values[i : i + 1, :, :n], raws[i : i + 1])
            for i in range(self.config.n_layers)
        ]
        return ContextStates(layers, copy_keys, ask.tokens)

    def _infer(self, request: "ov.InferRequest", line: Laid, states: ContextStates | None) -> list[Tensor]:
        """The outputs for the tokens of line after states, with room behind.

        A number of tokens that the runtime has not seen costs time, and memory for good (docs/log.md): it sees few.
        """
        c, n = self.config, len(line.tokens)
        n_rows = next((size for size in ROWS if size >= n), -(-n // ROWS[-1]) * ROWS[-1])
        n_context, n_room = 0 if states is None else states.n_tokens, N_ROOM
        if states is None:
            keys = values = torch.zeros(c.n_layers, c.n_kv_heads, n_room, c.head_size, dtype=self.dtype)
            raws = torch.zeros(c.n_layers, c.qkv_width)
        else:
            keys, values = stack(states)
            n_room = keys.shape[2]
            raws = torch.cat([layer.raw[0, -1:] for layer in states.layers]).float()
        mask = torch.full((n_rows, n_room + n_rows), float("-inf"))
        mask[n:] = 0.0  # what nobody reads may see anything
        mask[:, :n_context] = 0.0
        own = mask[:n, n_room : n_room + n]
        own.fill_(0.0) if line.sees is None else own.masked_fill_(line.sees, 0.0)
        more = (0, n_rows - n)
        cos, sin = rotary(F.pad(n_context + line.depths, more), c.head_size, c.rope_theta)
        marks = torch.full((n_rows, 1), float(line.is_canvas))
        inputs = (F.pad(line.tokens, more), marks, F.pad(line.before, more), cos, sin, mask, keys, values, raws)
        request.infer({i: _shared(tensor) for i, tensor in enumerate(inputs)}, share_inputs=True)
        return [_tensor(output) for output in request.output_tensors]


def _shared(tensor: Tensor) -> "ov.Tensor":
    """The same memory as the runtime's tensor; tensor must outlive it."""
    import openvino as ov

    tensor = tensor.contiguous()
    if tensor.dtype == torch.bfloat16:
        return ov.Tensor(tensor.view(torch.uint16).numpy(), list(tensor.shape), ov.Type.bf16)
    return ov.Tensor(tensor.numpy(), shared_memory=True)


def _tensor(output: "ov.Tensor") -> Tensor:
    """A copy of an output: the request will write there again."""
    import openvino as ov

    if output.element_type == ov.Type.bf16:
        words = torch.from_numpy(output.data.view("uint16").copy())
        return words.view(torch.bfloat16).view(tuple(output.shape))
    return torch.from_numpy(output.data.copy())
