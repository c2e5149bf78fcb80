"""The denoiser's forward as an OpenVINO graph with int8 matrices, for the CPU.

It computes what `Denoiser` computes, which is its specification: tests compare the two. One graph serves contexts and
rows alike, by its inputs; who may look at whom comes as a mask. Built node by node, because tracing takes seconds and
this takes milliseconds. Letters as in `denoiser`; S is the number of new tokens, of all rows laid end to end.
"""

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from ..checkpoint.checkpoint_files import Weights
from ..config import DenoiserConfig
from .nodes import Nodes, Value


def inputs_of(config: DenoiserConfig) -> tuple[str, ...]:
    """The names of the graph's inputs, in their order."""
    marks = ("marks",) if config.canvases else ()
    shift = ("before", "raws") if config.token_shift else ()
    return ("tokens", "cos", "sin", "mask", "keys", "values", "asked", *marks, *shift)


def denoiser_graph(config: DenoiserConfig, weights: Weights, *, states_type: ov.Type) -> ov.Model:
    """The graph of the denoiser of these weights. Inputs, of which a model has those of `inputs_of`:

    tokens int64 [S]; cos and sin float32 [S, E / 2]; mask float32 [S, T + S], added to the scores of attention; keys
    and values, of states_type [L, K, T, E]; asked int64 [R], the tokens whose distributions are wanted; marks float32
    [S, 1], 1 for tokens of a canvas; before int64 [S], the token before each, 0 the context's last and 1 + i token i;
    raws, of states_type [L, W], the context's last q, k and v before shift.

    Outputs: hidden float32 [S, D], after the last norm; the vocabulary's log-probabilities float32 [R, V]; the new keys
    and values, of states_type [L, K, S, E]; and, with token shift, raws, of states_type [L, S, W].
    """
    return _GraphBuilder(config, weights, states_type).build()


class _GraphBuilder(Nodes):
    def __init__(self, config: DenoiserConfig, weights: Weights, states_type: ov.Type) -> None:
        super().__init__(weights, config.norm_eps)
        self.config, self.states_type = config, states_type
        self._embedding = self.int8(weights["embedding.weight"])

    def build(self) -> ov.Model:
        c = self.config
        inputs = self._inputs()
        x = ops.gather(self._embedding, inputs["tokens"], self.ints(0))
        if c.canvases:
            x = ops.add(x, ops.multiply(self.floats("canvas_mark"), inputs["marks"]))
        groups = c.n_heads // c.n_kv_heads
        mask = ops.concat([inputs["mask"]] * groups, 0)  # the queries of a group of heads stand below one another
        mask = ops.unsqueeze(mask, self.ints([0, 1]))
        new: list[list[ov.Node]] = [[], [], []]
        for i in range(c.n_layers):
            x, *states = self._block(i, x, inputs, mask)
            for kept, state in zip(new, states, strict=True):
                kept.append(ops.unsqueeze(state, self.ints(0)))
        hidden = self.norm(x, "norm.weight")
        head = self._embedding if c.tied else self.int8(self.weights["head.weight"])
        asked = ops.gather(hidden, inputs["asked"], self.ints(0))
        keys, values, raws = (ops.concat(kept, 0) for kept in new)
        outputs = [hidden, ops.log_softmax(ops.matmul(asked, head, False, True), -1)]
        outputs += [ops.convert(keys, self.states_type), ops.convert(values, self.states_type)]
        outputs += [ops.convert(raws, self.states_type)] if c.token_shift else []
        results = [ops.result(output) for output in outputs]
        return ov.Model(results, list(inputs.values()), "denoiser")  # pyright: ignore[reportGeneralTypeIssues]

    def _inputs(self) -> dict[str, ov.Node]:
        c, dynamic = self.config, ov.Dimension()
        rotation = [dynamic, c.head_size // 2]
        states_shape = [c.n_layers, c.n_kv_heads, dynamic, c.head_size]
        found: dict[str, ov.Node] = {
            "tokens": ops.parameter([dynamic], np.int64),
            "cos": ops.parameter(rotation, np.float32),
            "sin": ops.parameter(rotation, np.float32),
            "mask": ops.parameter([dynamic, dynamic], np.float32),
            "keys": ops.parameter(states_shape, self.states_type),
            "values": ops.parameter(states_shape, self.states_type),
            "asked": ops.parameter([dynamic], np.int64),
            "marks": ops.parameter([dynamic, 1], np.float32),
            "before": ops.parameter([dynamic], np.int64),
            "raws": ops.parameter([c.n_layers, c.qkv_width], self.states_type),
        }
        for name, node in found.items():
            node.set_friendly_name(name)
        return {name: found[name] for name in inputs_of(c)}

    def _block(self, i: int, x: Value, inputs: Mapping[str, ov.Node], mask: ov.Node) -> tuple[Value, ...]:
        """x after layer i, and its new keys and values [K, S, E] and q, k and v before shift [S, W]."""
        c, name = self.config, f"blocks.{i}."
        h, k, e = c.n_heads, c.n_kv_heads, c.head_size
        raw = self.linear(self.norm(x, name + "attention_norm.weight"), name + "attention.qkv.weight")
        if c.qkv_bias:
            raw = ops.add(raw, self.floats(name + "attention.qkv.bias"))
        mixed = self._shifted(i, raw, inputs) if c.token_shift else raw
        heads = ops.transpose(ops.reshape(mixed, self.ints([-1, h + 2 * k, e]), False), self.ints([1, 0, 2]))
        q, keys, values = ops.variadic_split(heads, self.ints(0), self.ints([h, k, k])).outputs()
        if c.qk_norm:
            q = self.norm(q, name + "attention.q_norm.weight")
            keys = self.norm(keys, name + "attention.k_norm.weight")
        q, keys = (self.rotated(each, inputs["cos"], inputs["sin"]) for each in (q, keys))
        all_keys = ops.concat([self._layer(inputs["keys"], i), ops.unsqueeze(keys, self.ints(0))], 2)
        all_values = ops.concat([self._layer(inputs["values"], i), ops.unsqueeze(values, self.ints(0))], 2)
        q = ops.reshape(q, self.ints([1, k, -1, e]), False)  # [1, K, G * S, E]
        scores = ops.matmul(ops.multiply(q, np.float32(e**-0.5)), all_keys, False, True)
        seen = ops.matmul(ops.softmax(ops.add(scores, mask), -1), all_values, False, False)
        seen = ops.transpose(ops.reshape(seen, self.ints([h, -1, e]), False), self.ints([1, 0, 2]))
        seen = ops.reshape(seen, self.ints([-1, h * e]), False)
        x = ops.add(x, self.linear(seen, name + "attention.out.weight"))
        return self.feed_forward(x, name), keys, values, raw

    def _shifted(self, i: int, raw: ov.Node, inputs: Mapping[str, ov.Node]) -> ov.Node:
        all_raws = ops.concat([self._layer(inputs["raws"], i), raw], 0)
        previous = ops.gather(all_raws, inputs["before"], self.ints(0))
        return ops.add(raw, ops.multiply(self.floats(f"blocks.{i}.attention.shift"), previous))

    def _layer(self, states: ov.Node, i: int) -> ov.Node:
        return ops.convert(self.rows(states, i, i + 1), np.float32)
