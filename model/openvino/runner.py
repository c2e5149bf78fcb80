"""Answers asks on the CPU with OpenVINO: int8 matrices, one graph for a whole forward.

For a canvas of 24 after 1,000 tokens PyTorch's bfloat16 takes 1.4 to 1.6 times as long on two cores (decision 13).
Rows of several asks run one after the other: on a CPU there is nothing to win by laying them together.

Copying, which counts matches and works on integers, is NumPy's (`copy_head`). Nothing here loads PyTorch.
"""

from collections.abc import Sequence

import numpy as np
import openvino as ov

from ..config import DenoiserConfig
from ..network.states import N_ROOM, ContextStates, LayerStates, concat, stack
from ..requests import (
    AskHead,
    Branches,
    Context,
    Extend,
    Extended,
    FlatTokens,
    ForwardReply,
    ForwardRequest,
    flatten,
    no_fill,
)
from ..runners.drafting import Drafter, ask_head
from .compile import CompiledGraph
from .copy_head import NumpyCopyHead, NumpyNoCopies
from .graph import inputs_of
from .rotary import rotations

ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # numbers of new tokens that the runtime sees
ARRAYS = {"f32": np.float32, "bf16": np.uint16}  # what holds states; NumPy has no bfloat16


class OpenVinoRunner:
    """A `drive.Runner`. Context states are as PyTorch's runner makes them, in the graph's type."""

    def __init__(
        self,
        config: DenoiserConfig,
        copy_head: NumpyCopyHead | NumpyNoCopies,
        graph: CompiledGraph,
        drafter: Drafter | None = None,
    ) -> None:
        self.config, self.copy_head, self.drafter = config, copy_head, drafter
        self._states_type = getattr(ov.Type, graph.states_type)
        self._array_type = ARRAYS[graph.states_type]
        self._request, self._inputs = graph.request, inputs_of(config)

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply an ask, in their order; a body's last one holds until the next call."""
        asks = no_fill(asks)
        return [self._reply(ask, is_last=i == len(asks)) for i, ask in enumerate(asks, 1)]

    def _reply(self, ask: Branches | Context | Extend | AskHead, *, is_last: bool) -> ForwardReply:
        if isinstance(ask, AskHead):
            return ask_head(self.drafter, ask)
        if isinstance(ask, Context):
            return self._read(ask.tokens[0], ask.past, asks_all=False).states
        must_copy = not (is_last or self.config.copies)  # the next ask's log-probabilities come to the same memory
        if isinstance(ask, Extend):
            read = self._read(np.array(ask.tokens), ask.states, asks_all=True)
            return Extended(read.log_probs.copy(), read.states) if must_copy else read
        return self._log_probs(ask).copy() if must_copy else self._log_probs(ask)

    def _log_probs(self, ask: Branches) -> np.ndarray:
        line = flatten(ask)
        n = len(line.tokens)
        hidden, plain, *_ = self._infer(line, ask.states, np.arange(n))
        return self.copy_head.mix(ask, line, hidden[:n], plain[:n])

    def _read(self, tokens: np.ndarray, past: ContextStates | None, *, asks_all: bool) -> Extended:
        """A causal reading of tokens [N] after past; the distributions after all of them, or after the last one."""
        n = len(tokens)
        place = np.arange(n)
        line = FlatTokens(tokens, place, place, np.tri(n, dtype=np.bool_), is_canvas=False)
        hidden, log_probs, keys, values, *raws = self._infer(line, past, place if asks_all else place[-1:])
        copy_keys = self.copy_head.keys(hidden[:n])[None]
        raw = raws[0][:, :n] if raws else np.zeros((self.config.n_layers, n, 0), self._array_type)
        layers = [
            LayerStates(keys[i : i + 1, :, :n], values[i : i + 1, :, :n], raw[i : i + 1])
            for i in range(self.config.n_layers)
        ]
        return Extended(log_probs[: n if asks_all else 1], ContextStates(layers, copy_keys, tokens[None]))

    def _infer(self, line: FlatTokens, states: ContextStates | None, asked: np.ndarray) -> list[np.ndarray]:
        """The outputs for the tokens of line after states, with room behind; asked [R] are those to predict after.

        A number of tokens that the runtime has not seen costs time, and memory for good (docs/log/): it sees few.
        """
        c, n = self.config, len(line.tokens)
        n_rows = _rounded(n)
        n_context, n_room = 0 if states is None else states.n_tokens, N_ROOM
        if states is None:
            keys = values = np.zeros((c.n_layers, c.n_kv_heads, n_room, c.head_size), self._array_type)
        else:
            keys, values = stack(states)
            n_room = keys.shape[2]
        mask = np.full((n_rows, n_room + n_rows), -np.inf, np.float32)
        mask[n:] = 0  # what nobody reads may see anything
        mask[:, :n_context] = 0
        own = mask[:n, n_room : n_room + n]
        own[... if line.sees is None else line.sees] = 0
        cos, sin = rotations(_padded(n_context + line.depths, n_rows), c)
        inputs = {
            "tokens": _padded(line.tokens, n_rows), "cos": cos, "sin": sin, "mask": mask,
            "asked": _padded(asked, _rounded(len(asked))),
            "marks": np.full((n_rows, 1), line.is_canvas, np.float32),
            "before": _padded(line.before, n_rows),
        }  # fmt: skip
        held = {"keys": keys, "values": values, "raws": self._raws(states)}
        wanted = {
            i: ov.Tensor(inputs[name], shared_memory=True) if name in inputs else self._tensor(held[name])
            for i, name in enumerate(self._inputs)
        }
        self._request.infer(wanted, share_inputs=True)
        hidden, log_probs, *others = self._request.output_tensors
        # A body's log-probabilities are read where the runtime has put them, and are gone with the next call.
        plain = log_probs.data.copy() if c.copies else log_probs.data
        return [hidden.data.copy(), plain, *map(self._copy, others)]

    def _raws(self, states: ContextStates | None) -> np.ndarray:
        """The context's last q, k and v before shift, [L, W]."""
        if states is None:
            return np.zeros((self.config.n_layers, self.config.qkv_width), self._array_type)
        return concat([layer.raw[0, -1:] for layer in states.layers])

    def _tensor(self, array: np.ndarray) -> ov.Tensor:
        """States as the runtime's tensor, in the same memory, which must outlive it."""
        return ov.Tensor(np.ascontiguousarray(array), list(array.shape), self._states_type)

    def _copy(self, output: ov.Tensor) -> np.ndarray:
        """A copy of states that came out: the request will write there again."""
        return output.data.view(self._array_type).reshape(tuple(output.shape)).copy()


def _padded(values: np.ndarray, n: int) -> np.ndarray:
    """Integers [n] that begin with values, then 0."""
    padded = np.zeros(n, np.int64)
    padded[: len(values)] = values
    return padded


def _rounded(n: int) -> int:
    """The number of rows that the runtime gets for n."""
    return next((size for size in ROWS if size >= n), -(-n // ROWS[-1]) * ROWS[-1])
