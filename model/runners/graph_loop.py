"""The denoise loop for a GPU: the same steps as `denoise`, without asking the device anything in between.

All that a step reads and writes lies in buffers that stay where they are, for up to a fixed number of canvases,
contexts of up to a fixed length and one set of rules (`CanvasTokens`, threshold): so the steps can be captured in a
CUDA graph (`cuda_graphs`) and run again for other canvases. Kernels do the work on a GPU, their references elsewhere.
`denoise` with `policies.threshold` and without early ends is the specification; tests compare the two.

Letters: B rows, L canvas, T context room, N pages of a row, S tokens of a page; D, H, K, E, C, V as in `denoiser`.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ...kernels.canvas_attention import canvas_attention
from ...kernels.commit import commit as commit_sure
from ...kernels.mixture_head import mixture_head
from ...kernels.norm_rope import norm_rope
from ..cache.pages import N_PAGE
from ..network.copy_head import Matches
from ..network.denoiser import Denoiser
from ..network.matches import canvas_matches, classes, context_matches
from ..network.states import Array, ContextStates, stack
from ..network.transformer import Norm, TransformerBlock, rotations
from ..tokenizers.canvas_tokens import CanvasTokens

NO_TOKEN = -1


class DeviceTokens(NamedTuple):
    """What a loop needs of `CanvasTokens`, on the model's device: ids, bool [V], and the ids of stops."""

    mask: int
    end: int
    forbidden: Tensor
    stops: Tensor
    stop_ids: Tensor


def on_device(tokens: CanvasTokens, device: torch.device) -> DeviceTokens:
    """tokens on a device."""
    arrays = (torch.tensor(array, device=device) for array in (tokens.forbidden, tokens.stops, tokens.stop_ids))
    return DeviceTokens(tokens.mask, tokens.end, *arrays)


class Filled(NamedTuple):
    """What came of the rows of a loop: canvases, log-probabilities and those of a stop, all [B, L]; the number of masks
    before the last step, [B]; and the steps that found a mask, [B]."""

    canvas: Array
    log_probs: Array
    stop_log_probs: Array
    n_open: Array
    steps: Array


class Buffers:
    """Room for the contexts of n_rows canvases on the model's device. Rows that are not in use hold a dummy."""

    def __init__(self, model: Denoiser, n_rows: int, n_context: int) -> None:
        c, like = model.config, model.embedding.weight
        n_pages = -(-n_context // N_PAGE)
        self.n_context = n_pages * N_PAGE
        pages = (c.n_layers, n_rows, n_pages, c.n_kv_heads, N_PAGE, c.head_size)
        self.keys, self.values = like.new_zeros(pages), like.new_zeros(pages)
        self.raws = like.new_zeros(c.n_layers, n_rows, c.qkv_width)
        self.copy_keys = torch.zeros(n_rows, self.n_context, c.copy_size, device=like.device)
        self.tokens = torch.full((n_rows, self.n_context), NO_TOKEN, device=like.device)
        self.matches = torch.zeros(n_rows, 1, self.n_context - 1, dtype=torch.uint8, device=like.device)
        self.page_table = torch.arange(n_rows * n_pages, dtype=torch.int32, device=like.device).view(n_rows, n_pages)
        self.lengths = torch.full((n_rows,), 2, dtype=torch.int32, device=like.device)
        self._middle = c.middle
        self._copies_matches = c.copies_matches

    def load(self, row: int, states: ContextStates) -> None:
        """Copy a context (batch 1, 2 to n_context tokens) into a row."""
        n = states.n_tokens
        for pages, stacked in zip((self.keys, self.values), stack(states), strict=True):
            parts = stacked.unflatten(2, (-1, N_PAGE)).transpose(1, 2)  # [layers, N, K, S, E]
            n_pages = min(parts.shape[1], pages.shape[2])
            pages[:, row, :n_pages] = parts[:, :n_pages]
        self.raws[:, row] = torch.cat([layer.raw[0, -1:] for layer in states.layers])
        self.copy_keys[row, :n] = states.copy_keys[0]
        self.tokens[row, :n] = states.tokens[0]
        self.tokens[row, n:] = NO_TOKEN
        if self._copies_matches:
            if states.last_matches is None:
                states.last_matches = context_matches(states.tokens, 1, self._middle)
            self.matches[row, :, : n - 1] = states.last_matches[0]
            self.matches[row, :, n - 1 :] = 0
        self.lengths[row] = n


class CanvasLoop:
    """Steps over canvases [B, L] in the first B rows of buffers."""

    def __init__(
        self, model: Denoiser, buffers: Buffers, tokens: DeviceTokens, threshold: float, n_rows: int, n_canvas: int
    ) -> None:
        self.model, self.buffers, self.tokens, self.threshold = model, buffers, tokens, threshold
        self.n_rows, device = n_rows, model.embedding.weight.device
        self.canvas = torch.full((n_rows, n_canvas), tokens.end, device=device)
        self.canvas_lengths = torch.full((n_rows,), n_canvas, dtype=torch.int32, device=device)
        self.log_probs = torch.zeros(n_rows, n_canvas, device=device)
        self.stop_log_probs = torch.full_like(self.log_probs, float("-inf"))
        self.n_open = torch.zeros(n_rows, dtype=torch.long, device=device)
        self.steps = torch.zeros_like(self.n_open)
        self._place = torch.arange(n_canvas, device=device)
        self._is_causal = torch.zeros(n_rows, n_canvas, dtype=torch.bool, device=device)
        self._stop_table = model.embedding.weight[tokens.stop_ids]

    def load(self, row: int, canvas: np.ndarray) -> None:
        """Put a canvas of at most L tokens into a row; what is behind it counts as ended."""
        n = len(canvas)
        self.canvas[row, :n] = torch.tensor(canvas, device=self.canvas.device)
        self.canvas[row, n:] = self.tokens.end
        self.canvas_lengths[row] = n

    def begin(self) -> None:
        """Forget the scores of the canvases before; the rows that `load` does not fill hold nothing to do."""
        self.canvas.fill_(self.tokens.end)
        self.log_probs.zero_()
        self.stop_log_probs.fill_(float("-inf"))
        self.steps.zero_()

    def run(self, n_steps: int, *, is_end: bool) -> None:
        """So many steps; is_end: the last one fills whatever is still open."""
        for i in range(n_steps):
            self.step(fills_all=is_end and i == n_steps - 1)

    def step(self, *, fills_all: bool) -> None:
        """Predict, commit. Nothing here waits for the device."""
        tokens, canvas = self.tokens, self.canvas
        predicted, confidence, stop_log_probs = self.predict()
        masked = canvas == tokens.mask
        self.n_open.copy_(masked.sum(dim=-1))
        self.steps.add_(self.n_open > 0)
        stops_now = first_stops(stop_log_probs, canvas, tokens)
        self.stop_log_probs.copy_(torch.where(ends_text(canvas, tokens), stops_now, self.stop_log_probs))
        if fills_all:
            filled, log_probs = fill_all(canvas, self.log_probs, predicted, confidence, tokens)
        else:
            filled, log_probs, _, _ = commit_sure(
                canvas, self.log_probs, predicted, confidence, tokens.stops,
                mask=tokens.mask, end=tokens.end, threshold=self.threshold,
            )  # fmt: skip
        self.canvas.copy_(filled)
        self.log_probs.copy_(log_probs)

    def predict(self) -> tuple[Tensor, Tensor, Tensor]:
        """The likeliest allowed token, its probability, and the log-probability of any stop, all [B, L]."""
        b, shape = self.n_rows, self.canvas.shape
        hidden = self._hidden()  # [B, L, D]
        table, forbidden = self.model.embedding.weight, self.tokens.forbidden
        weights, gate = self._copies(hidden)  # [B, L, T - 1] and [B, L]
        followers = self.buffers.tokens[:b, 1:].clamp_min(0)
        best = mixture_head(
            hidden.flatten(0, 1), table, forbidden, weights.flatten(0, 1), followers.contiguous(), gate.flatten()
        )
        plain = F.linear(hidden, self._stop_table).float().logsumexp(dim=-1) - best.lse.view(shape)
        copied = (weights * self.tokens.stops[followers].unsqueeze(1)).sum(dim=-1)
        stops = torch.logaddexp(plain + F.logsigmoid(-gate), copied.clamp_min(1e-20).log() + F.logsigmoid(gate))
        return best.tokens.view(shape), best.log_probs.view(shape).exp(), stops

    def _hidden(self) -> Tensor:
        """Last hidden states [B, L, D]."""
        c, b, held = self.model.config, self.n_rows, self.buffers
        lengths, table = held.lengths[:b], held.page_table[:b]
        cos, sin = rotations(lengths.unsqueeze(1) + self._place, c)  # [B, L, E / 2]
        x = self.model.branch_inputs(self.canvas, self._is_causal)
        for i, block in enumerate(self.model.blocks):
            assert isinstance(block, TransformerBlock)
            attention = block.attention
            assert isinstance(attention.q_norm, Norm) and isinstance(attention.k_norm, Norm)
            assert attention.shift is not None
            raw = attention.qkv(block.attention_norm(x))
            previous = torch.cat((held.raws[i, :b].unsqueeze(1), raw[:, :-1]), dim=1)
            heads = norm_rope(
                raw, previous, attention.shift, attention.q_norm.weight, attention.k_norm.weight, cos, sin,
                n_heads=c.n_heads, n_kv_heads=c.n_kv_heads, eps=c.norm_eps,
            )  # fmt: skip
            seen = canvas_attention(
                heads.q, held.keys[i].flatten(0, 1), held.values[i].flatten(0, 1), table, lengths,
                heads.k, heads.v, self.canvas_lengths,
            )  # fmt: skip
            x = x + attention.out(seen.transpose(1, 2).flatten(2))
            x = x + block.ffn(block.ffn_norm(x))
        return self.model.norm(x)

    def _copies(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Weights [B, L, T - 1] of copying what followed each context position, and log-odds [B, L] of copying."""
        head, b, held = self.model.copy_head, self.n_rows, self.buffers
        n_followers = held.n_context - 1
        place = torch.arange(n_followers, device=hidden.device)
        may_copy = (place < held.lengths[:b].unsqueeze(1) - 1).unsqueeze(1)  # [B, 1, T - 1]
        matches = None
        if head.config.copies_matches:
            canvases = self.canvas.unsqueeze(1)
            lengths, gaps = canvas_matches(canvases, canvases == self.tokens.mask, held.tokens[:b], held.matches[:b])
            matches = Matches(classes(lengths.flatten(1, 2)), gaps.flatten(1, 2))
        weights, gate = head(hidden, held.copy_keys[:b, :-1], may_copy, matches)
        return weights.exp(), gate

    def result(self) -> Filled:
        """What the rows hold now."""
        return Filled(self.canvas, self.log_probs, self.stop_log_probs, self.n_open, self.steps)


def fill_all(
    canvas: Tensor, log_probs: Tensor, predicted: Tensor, confidence: Tensor, tokens: DeviceTokens
) -> tuple[Tensor, Tensor]:
    """`denoise.commit` of every mask."""
    masked = canvas == tokens.mask
    filled = torch.where(masked, predicted, canvas)
    is_stop = (tokens.stops[filled] & masked).long()
    is_over = (is_stop.cumsum(dim=-1) - is_stop > 0) & masked
    log_probs = torch.where(masked, confidence.clamp_min(1e-20).log(), log_probs)
    return torch.where(is_over, tokens.end, filled), log_probs.masked_fill(is_over, 0.0)


def ends_text(canvas: Tensor, tokens: DeviceTokens) -> Tensor:
    """`denoise.ends_text`."""
    is_mask = canvas == tokens.mask
    is_text = ~is_mask & (canvas != tokens.end)
    return is_mask & (is_text.flip(-1).cumsum(dim=-1).flip(-1) == 0)


def first_stops(stop_log_probs: Tensor, canvas: Tensor, tokens: DeviceTokens) -> Tensor:
    """`denoise.first_stops`."""
    ended = stop_log_probs.exp().clamp_max(1 - 1e-6)
    before = torch.where(canvas == tokens.mask, ended, 0.0).roll(1, dims=-1)
    before[:, 0] = 0.0
    return ((ended - before) / (1 - before)).clamp_min(1e-20).log()
