"""Answers asks on the CPU with OpenVINO: int8 matrices, one graph for a whole forward.

On two cores a step of nano takes 6 ms instead of 10 in PyTorch's bfloat16, one of the base shape 15 instead of 24, and
beside other work the difference is larger (docs/log.md; decision 13). Rows of several asks run one after the other:
on a CPU there is nothing to win by laying them together.

Copying, which counts matches and works on integers, stays in PyTorch (`forwards.mixed`).
"""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .blocks import branch_mask, rotary
from .denoiser import ContextStates, Denoiser, states_of
from .forwards import Ask, Context, Reply, Rows, mixed
from .openvino_graph import denoiser_graph

if TYPE_CHECKING:
    import openvino as ov

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
        is_causal = torch.full((1, m), ask.is_causal)
        mask = None
        if m > 1 or ask.is_causal:
            mask = branch_mask(torch.full((1, m), n_context - 1), is_causal, n_context, n)
            assert isinstance(mask, Tensor)
            mask = torch.zeros(mask.shape[2:]).masked_fill_(~mask[0, 0], float("-inf"))
        hidden, plain = self._infer(
            self._rows,
            ask.tokens.reshape(-1),
            torch.arange(n_context, n_context + n).repeat(m),
            mask,
            ask.states,
            is_first=torch.arange(m * n) % n == 0,
            is_canvas=not ask.is_causal,
        )
        return mixed(self.copy_head, ask, hidden.view(m, n, -1), plain.view(m, n, -1))

    def _states(self, ask: Context) -> ContextStates:
        tokens, past = ask.tokens, ask.past
        n_past, n = 0 if past is None else past.n_tokens, tokens.shape[1]
        mask = torch.zeros(n, n_past + n)
        mask[:, n_past:] = torch.full((n, n), float("-inf")).triu_(1)
        hidden, keys, values, raws = self._infer(
            self._context,
            tokens[0],
            torch.arange(n_past, n_past + n),
            mask,
            past,
            is_first=torch.arange(n) == 0,
            is_canvas=False,
        )
        return states_of(keys, values, raws.to(self.dtype), self.copy_head.keys(hidden.unsqueeze(0)), tokens)

    def _infer(
        self,
        request: "ov.InferRequest",
        tokens: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        states: ContextStates | None,
        *,
        is_first: Tensor,
        is_canvas: bool,
    ) -> list[Tensor]:
        c = self.config
        n = len(tokens)
        cos, sin = rotary(positions, c.head_size, c.rope_theta)
        if states is None:  # the graph wants a context: one token that nobody sees
            keys = values = torch.zeros(c.n_layers, c.n_kv_heads, 1, c.head_size, dtype=self.dtype)
            raws = torch.zeros(c.n_layers, c.qkv_width)
            assert mask is not None
            mask = torch.cat((torch.full((n, 1), float("-inf")), mask), dim=1)
        else:
            keys, values = stack(states)
            raws = torch.cat([layer.raw[0, -1:] for layer in states.layers]).float()
            if mask is None:
                mask = torch.zeros(n, states.n_tokens + n)
        marks = torch.full((n, 1), float(is_canvas))
        inputs = (tokens, marks, is_first.unsqueeze(1), cos, sin, mask, keys, values, raws)
        request.infer({i: _shared(tensor) for i, tensor in enumerate(inputs)}, share_inputs=True)
        return [_tensor(output) for output in request.output_tensors]


def stack(states: ContextStates) -> tuple[Tensor, Tensor]:
    """Keys and values [L, K, T, E] of all layers, each in one piece; kept with the states."""
    if states.stacked is None:
        states.stacked = (
            torch.cat([layer.keys for layer in states.layers]),
            torch.cat([layer.values for layer in states.layers]),
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
