"""What OpenVINO graphs of ours are built of: int8 matrices, norms, rotations. Letters as in `graph`."""

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from ..checkpoint.checkpoint_files import Int8Matrix, Weights, as_float, quantise

Value = ov.Node | ov.Output  # of a node with one output, or one output of several


class Nodes:
    """Builds nodes over some weights."""

    def __init__(self, weights: Weights, norm_eps: float) -> None:
        self.weights, self._norm_eps = weights, norm_eps

    def rotated(self, x: Value, cos: Value, sin: Value) -> ov.Node:
        """x [H, S, E] rotated by cos and sin [S, E / 2]."""
        first, second = ops.split(x, self.ints(-1), 2).outputs()
        return ops.concat(
            [
                ops.subtract(ops.multiply(first, cos), ops.multiply(second, sin)),
                ops.add(ops.multiply(second, cos), ops.multiply(first, sin)),
            ],
            -1,
        )

    def norm(self, x: Value, name: str) -> ov.Node:
        """An RMSNorm over the last axis, with the weight of that name."""
        mean = ops.reduce_mean(ops.power(x, np.float32(2)), self.ints([-1]), True)
        scaled = ops.multiply(x, ops.divide(np.float32(1), ops.sqrt(ops.add(mean, np.float32(self._norm_eps)))))
        return ops.multiply(scaled, self.floats(name))

    def linear(self, x: Value, name: str) -> ov.Node:
        """x times a matrix."""
        return ops.matmul(x, self.int8(self.weights[name]), False, True)

    def feed_forward(self, x: Value, name: str) -> ov.Node:
        """x and what the SwiGLU of a block adds to it; name is how the block's weights begin."""
        both = self.linear(self.norm(x, name + "ffn_norm.weight"), name + "ffn.gate_up.weight")
        gate, up = ops.split(both, self.ints(-1), 2).outputs()
        return ops.add(x, self.linear(ops.multiply(ops.swish(gate), up), name + "ffn.down.weight"))

    def int8(self, weight: np.ndarray | Int8Matrix) -> ov.Node:
        """A matrix as int8 and a scale a row, in the form that the runtime takes for compressed weights."""
        values, scales = weight if isinstance(weight, Int8Matrix) else quantise(weight)
        as_float = ops.convert(ops.constant(values, shared_memory=True), np.float32)
        return ops.multiply(as_float, ops.constant(scales[:, None]))

    def floats(self, name: str) -> ov.Node:
        """A weight in float32."""
        return ops.constant(as_float(self.weights[name]))

    def rows(self, x: ov.Node, start: int, stop: int) -> ov.Node:
        """x[start:stop]."""
        return ops.slice(x, self.ints([start]), self.ints([stop]), self.ints([1]), self.ints([0]))

    @staticmethod
    def ints(values: int | list[int]) -> ov.Node:
        """A constant."""
        return ops.constant(np.array(values, dtype=np.int64))
