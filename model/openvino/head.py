"""A denoising head as an OpenVINO graph with int8 matrices, for the CPU, beside its body's.

It computes what `DenoisingHead` computes for one canvas behind the newest state: tests compare the two. Its shapes are
fixed: the window and the canvas are filled up, and a mask hides what fills them. Letters as in `denoising_head`; N
tokens of the window, L of the canvas.
"""

import math
from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from ..checkpoint.checkpoint_files import Int8Matrix, as_float, quantise
from ..checkpoint.head_file import StoredHead
from ..requests import HeadGuess
from .compile import StatesType, compile_model
from .nodes import Nodes, Value
from .rotary import rotations


def head_graph(head: StoredHead, spoken: Int8Matrix) -> ov.Model:
    """The graph of a head whose words' embeddings are spoken [S, D]. Inputs, all float32:

    features [N, D], the body's newest states, the last one last; canvas [L, D], embeddings, 0 where a token is masked;
    hints [L, D], embeddings of what is guessed below masks, else 0; added [L, D], places and the mask; mask [N + L],
    added to the scores of attention. Outputs: of each place the index [L] of the likeliest word, and its
    log-probability [L].
    """
    return _HeadBuilder(head, spoken).build()


class _HeadBuilder(Nodes):
    def __init__(self, head: StoredHead, spoken: Int8Matrix) -> None:
        super().__init__(head.weights, head.config.norm_eps)
        self.config, self._spoken = head.config, spoken
        c = head.config
        turns = rotations(np.arange(c.n_window + c.n_canvas), c.layers)
        self._turns = [ops.constant(turn) for turn in turns]
        self._own_turns = [ops.constant(np.ascontiguousarray(turn[c.n_window :])) for turn in turns]

    def build(self) -> ov.Model:
        c = self.config
        features = ops.parameter([c.n_window, c.width], np.float32)
        canvas, hints, added = (ops.parameter([c.n_canvas, c.width], np.float32) for _ in range(3))
        mask = ops.parameter([c.n_window + c.n_canvas], np.float32)
        known = self.norm(features, "feature_norm.weight")
        context = self.linear(known, "fuse.weight")
        newest = self.rows(known, c.n_window - 1, c.n_window)
        own = ops.add(
            self.linear(self.norm(canvas, "token_norm.weight"), "token.weight"),
            self.linear(self.norm(hints, "token_norm.weight"), "hint.weight"),
        )
        x: Value = ops.add(ops.add(own, added), self.linear(newest, "anchor.weight"))
        for i in range(c.n_layers):
            x = self._block(f"blocks.{i}.", x, context, mask)
        logits = ops.matmul(self.norm(x, "norm.weight"), self.int8(self._spoken), False, True)
        sharpness = np.float32(math.exp(float(as_float(self.weights["log_sharpness"]))))
        log_probs = ops.log_softmax(ops.multiply(logits, sharpness), -1)
        best = ops.topk(log_probs, self.ints(1), -1, "max", "value", "i64")
        outputs = [ops.squeeze(best.output(i), self.ints([-1])) for i in (1, 0)]
        return ov.Model([*map(ops.result, outputs)], [features, canvas, hints, added, mask], "head")  # pyright: ignore[reportGeneralTypeIssues]

    def _block(self, name: str, x: Value, context: ov.Node, mask: ov.Node) -> Value:
        """The canvas x after a layer."""
        c = self.config
        h, e = c.n_heads, c.head_size
        weight = self.weights[name + "attention.qkv.weight"]
        both = weight if isinstance(weight, Int8Matrix) else quantise(weight)
        query, others = (
            Int8Matrix(both.values[part], both.scales[part]) for part in (slice(h * e), slice(h * e, None))
        )
        own = self.norm(x, name + "attention_norm.weight")
        everything = ops.concat([self.norm(context, name + "attention_norm.weight"), own], 0)
        q = self._heads(ops.matmul(own, self.int8(query), False, True), h)
        keys, values = ops.split(
            self._heads(ops.matmul(everything, self.int8(others), False, True), 2 * c.n_kv_heads), self.ints(0), 2
        ).outputs()
        q = self.rotated(self.norm(q, name + "attention.q_norm.weight"), *self._own_turns)
        keys = self.rotated(self.norm(keys, name + "attention.k_norm.weight"), *self._turns)
        q = ops.reshape(q, self.ints([c.n_kv_heads, -1, e]), False)  # [K, G * L, E]
        scores = ops.add(ops.matmul(ops.multiply(q, np.float32(e**-0.5)), keys, False, True), mask)
        seen = ops.matmul(ops.softmax(scores, -1), values, False, False)
        seen = ops.transpose(ops.reshape(seen, self.ints([h, -1, e]), False), self.ints([1, 0, 2]))
        seen = ops.reshape(seen, self.ints([-1, h * e]), False)
        x = ops.add(x, self.linear(seen, name + "attention.out.weight"))
        return self.feed_forward(x, name)

    def _heads(self, x: ov.Node, n: int) -> ov.Node:
        """x [S, n * E] as [n, S, E]."""
        return ops.transpose(ops.reshape(x, self.ints([-1, n, self.config.head_size]), False), self.ints([1, 0, 2]))


class OpenVinoHead:
    """A `drafting.Drafter` on the CPU."""

    def __init__(self, head: StoredHead, embedding: Int8Matrix, states_type: StatesType, n_threads: int | None) -> None:
        """embedding [V, D] is the body's."""
        c, self._embedding, self._words = head.config, embedding, head.words
        self.n_most = c.n_canvas - 1
        self._config = c
        self._mask, self._places = as_float(head.weights["mask"]), as_float(head.weights["places"])
        spoken = Int8Matrix(embedding.values[head.words], embedding.scales[head.words])
        self._request = compile_model(head_graph(head, spoken), states_type, n_threads).create_infer_request()

    def __call__(self, known: Sequence[int], hints: Sequence[int], features: np.ndarray) -> HeadGuess:
        """As `Drafter` says."""
        c, n = self._config, len(known)
        window = np.zeros((c.n_window, c.width), dtype=np.float32)
        newest = features[-c.n_window :]
        window[c.n_window - len(newest) :] = newest
        added = self._places + self._mask
        added[:n] = self._places[:n]
        rows = np.array([*known, *hints][: c.n_canvas])
        given, canvas, hinted = (np.zeros_like(added) for _ in range(3))
        given[: len(rows)] = self._embedding.values[rows] * self._embedding.scales[rows, None]
        canvas[:n], hinted[n:] = given[:n], given[n:]
        hidden = np.zeros(c.n_window + c.n_canvas, dtype=np.float32)
        hidden[: c.n_window - len(newest)] = -np.inf
        best, log_probs = self._request.infer([window, canvas, hinted, added, hidden], share_inputs=True).values()
        return HeadGuess(tuple(self._words[best[n:]].tolist()), tuple(np.exp(log_probs[n:]).tolist()))
