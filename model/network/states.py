"""States of a context that has been read: what a canvas or a continuation needs of it.

The arrays are those of whatever runs the model: PyTorch's tensors on any device or, beside OpenVINO, NumPy's, in which
bfloat16 is held as uint16. Nothing here computes with them: they are cut, joined and given room, as the array API
standard lets both do. Letters as in `denoiser`: B batch, T context, L layers, K key heads, E head size, W qkv width, C
copy size; R tokens whose raw part is held.
"""

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace, device

Array = Any  # a NumPy array or a PyTorch tensor

N_ROOM = 64  # stacks of states have room for a multiple of it, so that runtimes see few shapes
N_RAW = 2  # tokens whose q, k and v before shift are kept: the last, and the one before where it is asked again


@dataclass
class LayerStates:
    """One layer's context: keys and values [B, K, T, E] after norm and rotation, raw q/k/v [B, R, W] before shift.

    The raw part is that of the last R tokens: of all, or only of those that something may follow. Without token shift
    nothing reads it, and W is 0.
    """

    keys: Array
    values: Array
    raw: Array


@dataclass
class ContextStates:
    """All that a canvas needs of its context: per-layer states, copy keys [B, T, C] and token ids [B, T].

    last_matches are the match lengths (of a batch [B, 1, T - 1], NumPy's [T - 1]) of the last position, once some
    canvas has needed them; followers the distinct tokens that can be copied, and where each of them stands; stacked
    the keys and values of all layers in one piece each [L, K, room_for(T), E] (of a batch of 1, zero beyond T),
    where they are held so.
    """

    layers: list[LayerStates]
    copy_keys: Array
    tokens: Array
    last_matches: Array | None = None
    followers: tuple[Array, ...] | None = None
    stacked: tuple[Array, Array] | None = None

    @property
    def n_tokens(self) -> int:
        """T, the number of context tokens held."""
        return self.tokens.shape[1]


def room_for(n_tokens: int) -> int:
    """The number of tokens that a stack for n_tokens has room for."""
    return -(-n_tokens // N_ROOM) * N_ROOM


def zeros_like(array: Array, shape: tuple[int, ...]) -> Array:
    """Zeros of another shape, in the type and on the device of array."""
    return array_namespace(array).zeros(shape, dtype=array.dtype, device=device(array))


def concat(arrays: list[Array], axis: int = 0) -> Array:
    """Arrays of one kind, one after the other along an axis."""
    return array_namespace(*arrays).concat(arrays, axis=axis)


def states_of(stacked: tuple[Array, Array], raws: Array, copy_keys: Array, tokens: Array) -> ContextStates:
    """States whose layers are views of keys and values, both [L, K, room_for(T), E], and raws [L, R, W]."""
    n = tokens.shape[1]
    keys, values = stacked
    layers = [
        LayerStates(keys[i : i + 1, :, :n], values[i : i + 1, :, :n], raws[i : i + 1]) for i in range(keys.shape[0])
    ]
    return ContextStates(layers, copy_keys, tokens, stacked=stacked)


def stack(states: ContextStates) -> tuple[Array, Array]:
    """Keys and values of all layers in one piece each, with room behind; kept with the states."""
    if states.stacked is None:
        states.stacked = _stacked([states])
    return states.stacked


def truncate(states: ContextStates, n: int) -> ContextStates:
    """The first n tokens' states, as views. Raises ValueError where the raw part of token n is not held."""
    n_dropped = states.n_tokens - n
    if not n_dropped:
        return states
    if n_dropped >= states.layers[0].raw.shape[1]:
        raise ValueError(f"states of {states.n_tokens} tokens cannot be cut to {n}: their last raw parts are missing")
    layers = [LayerStates(s.keys[:, :, :n], s.values[:, :, :n], s.raw[:, :-n_dropped]) for s in states.layers]
    return ContextStates(layers, states.copy_keys[:, :n], states.tokens[:, :n])


def newest(states: ContextStates, n: int) -> ContextStates:
    """The last n tokens' states, as views."""
    layers = [LayerStates(s.keys[:, :, -n:], s.values[:, :, -n:], s.raw[:, -n:]) for s in states.layers]
    return ContextStates(layers, states.copy_keys[:, -n:], states.tokens[:, -n:])


def join_states(past: ContextStates | None, new: ContextStates) -> ContextStates:
    """The states of past and new tokens together, with the raw part of the last N_RAW tokens."""
    parts = [new] if past is None else [past, new]
    raws = concat([concat([layer.raw[:, -N_RAW:] for layer in part.layers]) for part in parts], axis=1)
    tokens, copy_keys = (concat([getattr(part, name) for part in parts], axis=1) for name in ("tokens", "copy_keys"))
    return states_of(_stacked(parts), raws[:, -N_RAW:], copy_keys, tokens)


def _stacked(parts: list[ContextStates]) -> tuple[Array, Array]:
    """Keys and values of parts, one after the other, with room behind."""
    like = parts[0].layers[0].keys
    n_layers, n_tokens = len(parts[0].layers), sum(part.n_tokens for part in parts)
    shape = (n_layers, like.shape[1], room_for(n_tokens), like.shape[3])
    keys, values = zeros_like(like, shape), zeros_like(like, shape)
    at = 0
    for part in parts:
        end = at + part.n_tokens
        for i, layer in enumerate(part.layers):
            keys[i, :, at:end] = layer.keys[0]
            values[i, :, at:end] = layer.values[0]
        at = end
    return keys, values
