"""Answers asks on the CPU with OpenVINO: int8 matrices, one graph for a whole forward.

For a canvas of 24 after 1,000 tokens PyTorch's bfloat16 takes 1.4 to 1.6 times as long on two cores (decision 13).
Rows of several asks run one after the other: on a CPU there is nothing to win by laying them together.

Copying, which counts matches and works on integers, stays in PyTorch (`batching.mix`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..config import DenoiserConfig
from ..network.copy_head import CopyHead, NoCopies
from ..network.denoiser import N_ROOM, ContextStates, stack
from ..network.transformer import LayerStates, rotations
from ..requests import (
    AskHead,
    Branches,
    Context,
    Extend,
    Extended,
    ForwardReply,
    ForwardRequest,
    Laid,
    flatten,
    no_fill,
)
from .batching import mix
from .drafting import Drafter, ask_head
from .openvino_compile import CompiledGraph
from .openvino_graph import inputs_of

if TYPE_CHECKING:
    import openvino as ov

ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # numbers of new tokens that the runtime sees
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class OpenVinoRunner:
    """A `batching.Runner`. Context states are as PyTorch's runner makes them, in the graph's type."""

    def __init__(
        self,
        config: DenoiserConfig,
        copy_head: CopyHead | NoCopies,
        graph: CompiledGraph,
        drafter: Drafter | None = None,
    ) -> None:
        self.config, self.copy_head, self.drafter = config, copy_head, drafter
        self.dtype = DTYPES[graph.states_type]
        self._request, self._inputs = graph.request, inputs_of(config)

    @torch.inference_mode()
    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply an ask, in their order; a body's last one holds until the next call."""
        asks = no_fill(asks)
        return [self._reply(ask, is_last=i == len(asks)) for i, ask in enumerate(asks, 1)]

    def _reply(self, ask: Branches | Context | Extend | AskHead, *, is_last: bool) -> ForwardReply:
        if isinstance(ask, AskHead):
            return ask_head(self.drafter, ask)
        if isinstance(ask, Context):
            return self._read(ask.tokens, ask.past, asks_all=False).states
        must_copy = not (is_last or self.config.copies)  # the next ask's log-probabilities come to the same memory
        if isinstance(ask, Extend):
            read = self._read(torch.tensor([ask.tokens]), ask.states, asks_all=True)
            return Extended(read.log_probs.clone(), read.states) if must_copy else read
        return self._log_probs(ask).clone() if must_copy else self._log_probs(ask)

    def _log_probs(self, ask: Branches) -> Tensor:
        line = flatten(ask)
        n = len(line.tokens)
        hidden, plain, *_ = self._infer(line, ask.states, torch.arange(n))
        return mix(self.copy_head, ask, line, hidden[:n], plain[:n])

    def _read(self, tokens: Tensor, past: ContextStates | None, *, asks_all: bool) -> Extended:
        """A causal reading of tokens [1, N] after past; the distributions after all of them, or after the last one."""
        n = tokens.shape[1]
        place = torch.arange(n)
        line = Laid(tokens[0], place, place, torch.ones(n, n, dtype=torch.bool).tril_(), is_canvas=False)
        hidden, log_probs, keys, values, *raws = self._infer(line, past, place if asks_all else place[-1:])
        copy_keys = self.copy_head.keys(hidden[:n].unsqueeze(0))
        raw = raws[0][:, :n].to(self.dtype) if raws else keys.new_zeros(self.config.n_layers, n, 0)
        layers = [
            LayerStates(keys[i : i + 1, :, :n], values[i : i + 1, :, :n], raw[i : i + 1])
            for i in range(self.config.n_layers)
        ]
        return Extended(log_probs[: n if asks_all else 1], ContextStates(layers, copy_keys, tokens))

    def _infer(self, line: Laid, states: ContextStates | None, asked: Tensor) -> list[Tensor]:
        """The outputs for the tokens of line after states, with room behind; asked [R] are those to predict after.

        A number of tokens that the runtime has not seen costs time, and memory for good (docs/log/): it sees few.
        """
        c, n = self.config, len(line.tokens)
        n_rows = _rounded(n)
        n_context, n_room = 0 if states is None else states.n_tokens, N_ROOM
        if states is None:
            keys = values = torch.zeros(c.n_layers, c.n_kv_heads, n_room, c.head_size, dtype=self.dtype)
        else:
            keys, values = stack(states)
            n_room = keys.shape[2]
        mask = torch.full((n_rows, n_room + n_rows), float("-inf"))
        mask[n:] = 0.0  # what nobody reads may see anything
        mask[:, :n_context] = 0.0
        own = mask[:n, n_room : n_room + n]
        own.fill_(0.0) if line.sees is None else own.masked_fill_(line.sees, 0.0)
        more = (0, n_rows - n)
        cos, sin = rotations(F.pad(n_context + line.depths, more), c)
        inputs = {
            "tokens": F.pad(line.tokens, more), "cos": cos, "sin": sin, "mask": mask, "keys": keys, "values": values,
            "asked": F.pad(asked, (0, _rounded(len(asked)) - len(asked))),
            "marks": torch.full((n_rows, 1), float(line.is_canvas)),
            "before": F.pad(line.before, more), "raws": self._raws(states),
        }  # fmt: skip
        wanted = {i: _shared(inputs[name]) for i, name in enumerate(self._inputs)}
        self._request.infer(wanted, share_inputs=True)
        hidden, log_probs, *others = self._request.output_tensors
        # A body's log-probabilities are read where the runtime has put them, and are gone with the next call.
        plain = _tensor(log_probs) if c.copies else torch.from_numpy(log_probs.data)
        return [_tensor(hidden), plain, *map(_tensor, others)]

    def _raws(self, states: ContextStates | None) -> Tensor:
        """The context's last q, k and v before shift, [L, W]."""
        if states is None:
            return torch.zeros(self.config.n_layers, self.config.qkv_width)
        return torch.cat([layer.raw[0, -1:] for layer in states.layers]).float()


def _rounded(n: int) -> int:
    """The number of rows that the runtime gets for n."""
    return next((size for size in ROWS if size >= n), -(-n // ROWS[-1]) * ROWS[-1])


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
