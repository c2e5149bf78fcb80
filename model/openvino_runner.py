"""Answers asks on the CPU with OpenVINO: int8 matrices, one graph for a whole forward.

For a canvas of 24 after 1,000 tokens PyTorch's bfloat16 takes 1.4 to 1.6 times as long on two cores (decision 13).
Rows of several asks run one after the other: on a CPU there is nothing to win by laying them together.

Copying, which counts matches and works on integers, stays in PyTorch (`forwards.mixed`).
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .blocks import LayerStates, branch_mask, rotary
from .denoiser import N_ROOM, ContextStates, Denoiser, room_for
from .forwards import Ask, Context, Reply, Rows, mixed
from .openvino_graph import denoiser_graph

if TYPE_CHECKING:
    import openvino as ov

ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # numbers of new tokens that the runtime sees
GROUP = 64  # values that share a scale where activations are rounded to int8
TYPES = {torch.float32: "f32", torch.bfloat16: "bf16"}


class OpenVinoRunner:
    """A `forwards.Runner`. Context states are as PyTorch's runner makes them, in dtype."""

    def __init__(self, model: Denoiser, dtype: torch.dtype, n_threads: int) -> None:
        import openvino as ov

        self.config, self.dtype = model.config, dtype
        self.copy_head = copy.deepcopy(model.copy_head).float()
        settings = {
            "INFERENCE_NUM_THREADS": n_threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": TYPES[dtype],
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
        }
        core, states_type = ov.Core(), getattr(ov.Type, TYPES[dtype])

        def compiled(has_head: bool) -> ov.InferRequest:
            graph = denoiser_graph(model, states_type=states_type, has_head=has_head)
            return core.compile_model(graph, "CPU", settings).create_infer_request()

        with ThreadPoolExecutor(2) as pool:  # .25 s instead of .4 on two cores
            self._rows, self._context = pool.map(compiled, (True, False))

    @torch.inference_mode()
    def __call__(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply an ask, in their order."""
        return [self._log_probs(ask) if isinstance(ask, Rows) else self._states(ask) for ask in asks]

    def _log_probs(self, ask: Rows) -> Tensor:
        m, n = ask.tokens.shape
        n_context = ask.states.n_tokens
        mask = None
        if m > 1 or ask.is_causal:
            mask = branch_mask(torch.full((1, m), n_context - 1), torch.full((1, m), ask.is_causal), n_context, n)
            assert isinstance(mask, Tensor)
            mask = mask[0, 0]
        hidden, plain = self._infer(
            self._rows,
            ask.tokens.reshape(-1),
            torch.arange(n_context, n_context + n).repeat(m),
            mask,
            ask.states,
            is_first=torch.arange(m * n) % n == 0,
            is_canvas=not ask.is_causal,
        )
        return mixed(self.copy_head, ask, hidden[: m * n].view(m, n, -1), plain[: m * n].view(m, n, -1))

    def _states(self, ask: Context) -> ContextStates:
        n_past, n = 0 if ask.past is None else ask.past.n_tokens, ask.tokens.shape[1]
        hidden, keys, values, raws = self._infer(
            self._context,
            ask.tokens[0],
            torch.arange(n_past, n_past + n),
            torch.ones(n, n_past + n, dtype=torch.bool).tril_(n_past),
            ask.past,
            is_first=torch.arange(n) == 0,
            is_canvas=False,
        )
        copy_keys = self.copy_head.keys(hidden[:n].unsqueeze(0))
        raws = raws[:, :n].to(self.dtype)
        layers = [
            LayerStates(keys[i : i + 1, :, :n], values[i : i + 1, :, :n], raws[i : i + 1])
            for i in range(self.config.n_layers)
        ]
        return ContextStates(layers, copy_keys, ask.tokens)

    def _infer(
        self,
        request: "ov.InferRequest",
        tokens: Tensor,
        positions: Tensor,
        may_look: Tensor | None,
        states: ContextStates | None,
        *,
        is_first: Tensor,
        is_canvas: bool,
    ) -> list[Tensor]:
        """The outputs for new tokens [S] after states, with room behind; may_look is bool [S, T + S], None everywhere.

        A number of tokens that the runtime has not seen costs time, and memory for good (docs/log.md): it sees few.
        """
        c, n = self.config, len(tokens)
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
        if may_look is None:
            mask[:, :n_context] = 0.0
            mask[:, n_room : n_room + n] = 0.0
        else:
            mask[:n, :n_context].masked_fill_(may_look[:, :n_context], 0.0)
            mask[:n, n_room : n_room + n].masked_fill_(may_look[:, n_context:], 0.0)
        n_more = n_rows - n
        cos, sin = rotary(F.pad(positions, (0, n_more)), c.head_size, c.rope_theta)
        marks = torch.full((n_rows, 1), float(is_canvas))
        first = F.pad(is_first, (0, n_more), value=True).unsqueeze(1)
        inputs = (F.pad(tokens, (0, n_more)), marks, first, cos, sin, mask, keys, values, raws)
        request.infer({i: _shared(tensor) for i, tensor in enumerate(inputs)}, share_inputs=True)
        return [_tensor(output) for output in request.output_tensors]


def stack(states: ContextStates) -> tuple[Tensor, Tensor]:
    """Keys and values of all layers in one piece each, with room behind; kept with the states."""
    if states.stacked is None:
        n = states.n_tokens
        more = (0, 0, 0, room_for(n) - n)
        states.stacked = (
            F.pad(torch.cat([layer.keys for layer in states.layers]), more),
            F.pad(torch.cat([layer.values for layer in states.layers]), more),
        )
    return states.stacked


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
