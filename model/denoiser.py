"""The denoiser: one transformer body, read in two passes, with two output distributions mixed into one.

The *context pass* is causal and fills a `ContextStates`; the *canvas pass* lets canvas tokens see the whole context
and each other. Context never sees the canvas, so context states stay valid while a canvas is denoised and while the
user types. Both passes use the same weights: the causal pass predicts the next token, the canvas pass the token at its
own position.

Backbone: RMSNorm, RoPE, grouped-query attention with QK-norm, SwiGLU, tied embeddings, no biases. Two additions for
small models: *token shift* (q, k, v each plus a learnt multiple of the previous token's) and a *copy head*, a pointer
over the context mixed with the vocabulary (Merity et al. 2016, "Pointer Sentinel Mixture Models").

Knows tensors only: no tokenizer, no policy, no cache eviction. Letters: B batch, T context, L canvas, D width,
H heads, K key heads, E head size, W qkv width, C copy size, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .config import DenoiserConfig

INIT_STD = 0.02
COPY_GATE_BIAS = -2.0  # starts at 12 % copying

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # q [B, H, N, E], k and v [B, K, S, E] -> [B, H, N, E]


@dataclass
class LayerStates:
    """One layer's context: keys and values [B, K, T, E] after norm and rotation, raw q/k/v [B, T, W] before shift."""

    keys: Tensor
    values: Tensor
    raw: Tensor


@dataclass
class ContextStates:
    """All that a canvas needs of its context: per-layer states, copy keys [B, T, C] and token ids [B, T]."""

    layers: list[LayerStates]
    copy_keys: Tensor
    tokens: Tensor

    @property
    def n_tokens(self) -> int:
        """T, the number of context tokens held."""
        return self.tokens.shape[1]


def rotary(positions: Tensor, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., E/2] of rotary embeddings for integer positions [...] (Su et al. 2021)."""
    exponents = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32) / head_size
    angles = positions.float().unsqueeze(-1) * theta**-exponents
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [B, H, N, E] by cos and sin [B or 1, 1, N, E/2]."""
    x1, x2 = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1)


class Norm(nn.RMSNorm):
    """RMSNorm in the input's own dtype, so that the fused kernel is taken under mixed precision."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    """Grouped-query attention with token shift and QK-norm."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_size = config.n_heads, config.n_kv_heads, config.head_size
        self.qkv = nn.Linear(config.width, config.qkv_width, bias=False)
        self.shift = nn.Parameter(torch.zeros(config.qkv_width))
        self.q_norm = Norm(config.head_size, eps=config.norm_eps)
        self.k_norm = Norm(config.head_size, eps=config.norm_eps)
        self.out = nn.Linear(config.n_heads * config.head_size, config.width, bias=False)

    def project(self, raw: Tensor, previous: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q [B, H, N, E], k and v [B, K, N, E] from raw and the previous tokens' raw, both [B, N, W]."""
        b, n, _ = raw.shape
        mixed = raw + self.shift.to(raw.dtype) * previous
        heads = mixed.view(b, n, -1, self.head_size).transpose(1, 2)
        q, k, v = heads.split((self.n_heads, self.n_kv_heads, self.n_kv_heads), dim=1)
        return rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | Attend | None, causal: bool) -> Tensor:
        """Attention output [B, N, D]; mask (bool, True = may look) broadcasts to [B, H, N, S], or does it all."""
        if mask is not None and not isinstance(mask, Tensor):
            return self.out(mask(q.to(v.dtype), k.to(v.dtype), v).transpose(1, 2).flatten(2))
        groups = self.n_heads // self.n_kv_heads
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        mixed = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.ffn_width, bias=False)
        self.down = nn.Linear(config.ffn_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    """One layer; it runs over context tokens or over canvas tokens."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = Norm(config.width, eps=config.norm_eps)
        self.ffn = FeedForward(config)

    def context(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | Attend | None, past: LayerStates | None
    ) -> tuple[Tensor, LayerStates]:
        """Run new context tokens x [B, N, D] after past; returns x and the states of past and new together."""
        raw = self.attention.qkv(self.attention_norm(x))
        first = torch.zeros_like(raw[:, :1]) if past is None else past.raw[:, -1:].to(raw.dtype)
        q, k, v = self.attention.project(raw, torch.cat((first, raw[:, :-1]), dim=1), cos, sin)
        if past is not None:
            k, v = torch.cat((past.keys.to(k.dtype), k), dim=2), torch.cat((past.values.to(v.dtype), v), dim=2)
            raw = torch.cat((past.raw.to(raw.dtype), raw), dim=1)
        x = x + self.attention.attend(q, k, v, mask, causal=past is None)
        return x + self.ffn(self.ffn_norm(x)), LayerStates(k, v, raw)

    def branch(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | Attend | None,
        states: LayerStates,
        anchors: Tensor,
        n: int,
    ) -> Tensor:
        """Run branches of n tokens each, laid end to end in x [B, M * n, D], after anchors [B, M]."""
        raw = self.attention.qkv(self.attention_norm(x))  # [B, M * n, W]
        b, m, w = raw.shape[0], anchors.shape[1], raw.shape[2]
        before = states.raw.gather(1, anchors.unsqueeze(-1).expand(b, m, w)).to(raw.dtype).unsqueeze(2)
        split = raw.view(b, m, n, w)
        previous = torch.cat((before, split[:, :, :-1]), dim=2).view(b, m * n, w)
        q, k, v = self.attention.project(raw, previous, cos, sin)
        keys = torch.cat((states.keys.to(k.dtype), k), dim=2)
        values = torch.cat((states.values.to(v.dtype), v), dim=2)
        x = x + self.attention.attend(q, keys, values, mask, causal=False)
        return x + self.ffn(self.ffn_norm(x))


def no_mask(n_context: int, device: torch.device) -> Tensor | Attend | None:
    """The context's mask where attention is causal by itself."""
    return None


def branch_mask(anchors: Tensor, n_context: int, n: int, causal: bool = False) -> Tensor | Attend:
    """Who may look at whom (bool [B, 1, M * n, n_context + M * n]): context up to the anchor, and one's own branch.

    A branch is a canvas, which sees all of itself, or, if causal, a continuation.
    """
    b, m = anchors.shape
    device = anchors.device
    sees_context = torch.arange(n_context, device=device) <= anchors.unsqueeze(-1)  # [B, M, T]
    sees_context = sees_context.unsqueeze(2).expand(b, m, n, n_context).reshape(b, m * n, n_context)
    owner = torch.arange(m, device=device).repeat_interleave(n)
    sees_own = owner.unsqueeze(1) == owner
    if causal:
        sees_own = sees_own.tril()
    return torch.cat((sees_context, sees_own.expand(b, m * n, m * n)), dim=-1).unsqueeze(1)


@dataclass(frozen=True, kw_only=True)
class BlockPasses:
    """How blocks are run and what masks them: as written here, or by compiled functions that compute the same."""

    context: Callable[..., tuple[Tensor, LayerStates]] = Block.context
    branch: Callable[..., Tensor] = Block.branch
    context_mask: Callable[[int, torch.device], Tensor | Attend | None] = no_mask
    branch_mask: Callable[[Tensor, int, int, bool], Tensor | Attend] = branch_mask


PLAIN = BlockPasses()


class Denoiser(nn.Module):
    """Token ids in, hidden states out; `log_probs` turns hidden states into distributions."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.canvas_mark = nn.Parameter(torch.zeros(config.width))  # tells a canvas token from a context token
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = Norm(config.width, eps=config.norm_eps)
        self.copy_query = nn.Linear(config.width, config.copy_size, bias=False)
        self.copy_key = nn.Linear(config.width, config.copy_size, bias=False)
        self.copy_scale = nn.Parameter(torch.tensor(2.0))  # logarithm of the sharpness
        self.copy_gate = nn.Linear(config.width, 1)
        self.initialise()

    def initialise(self) -> None:
        """Small normal weights; outputs into the residual stream start at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=INIT_STD)
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.ffn.down.weight)
        with torch.no_grad():
            self.copy_key.weight.copy_(self.copy_query.weight)  # like finds like: copies bigrams from the start
            self.copy_gate.weight.zero_()
            self.copy_gate.bias.fill_(COPY_GATE_BIAS)

    def context(
        self, tokens: Tensor, past: ContextStates | None = None, passes: BlockPasses = PLAIN
    ) -> tuple[Tensor, ContextStates]:
        """Causal pass over new tokens [B, N] that follow past: hidden states [B, N, D] and all states so far."""
        n_past = 0 if past is None else past.n_tokens
        n = tokens.shape[1]
        positions = torch.arange(n_past, n_past + n, device=tokens.device)
        cos, sin = rotary(positions, self.config.head_size, self.config.rope_theta)
        mask = passes.context_mask(n, tokens.device) if past is None else None
        if past is not None and n > 1:
            mask = positions.unsqueeze(1) >= torch.arange(n_past + n, device=tokens.device)  # [N, T]
        x = self.embedding(tokens)
        layers: list[LayerStates] = []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x, states = passes.context(block, x, cos, sin, mask, None if past is None else past.layers[i])
            layers.append(states)
        hidden = self.norm(x)
        copy_keys = F.normalize(self.copy_key(hidden).float(), dim=-1)
        if past is not None:
            copy_keys = torch.cat((past.copy_keys, copy_keys), dim=1)
            tokens = torch.cat((past.tokens, tokens), dim=1)
        return hidden, ContextStates(layers, copy_keys, tokens)

    def canvas(
        self,
        canvases: Tensor,
        states: ContextStates,
        anchors: Tensor | None = None,
        passes: BlockPasses = PLAIN,
    ) -> Tensor:
        """Canvas pass: hidden states [B, M, L, D] of canvases [B, M, L].

        Each canvas follows the context position anchors [B, M] (default: the last one) and sees the context up to it,
        and itself, never its siblings. States with a batch of 1 serve every row of canvases.
        """
        return self._branch(canvases, states, anchors, False, passes)

    def continuations(self, tokens: Tensor, states: ContextStates, anchors: Tensor | None = None) -> Tensor:
        """Causal pass over several continuations at once: hidden states [B, M, N, D] of tokens [B, M, N].

        Each continuation is read as context that follows position anchors [B, M] (default: the last one); it never
        sees its siblings. What comes out for one is what `context` gives for it alone.
        """
        return self._branch(tokens, states, anchors, True, PLAIN)

    def _branch(
        self, tokens: Tensor, states: ContextStates, anchors: Tensor | None, causal: bool, passes: BlockPasses
    ) -> Tensor:
        """Canvases (marked, seeing all of themselves) or continuations (causal) after the context."""
        b, m, n = tokens.shape
        n_context = states.n_tokens
        device = tokens.device
        mask = None
        if anchors is None and m == 1 and not causal:
            anchors = torch.full((b, 1), n_context - 1, device=device)
        else:
            if anchors is None:
                anchors = torch.full((b, m), n_context - 1, device=device)
            mask = passes.branch_mask(anchors, n_context, n, causal)
        positions = anchors.unsqueeze(-1) + 1 + torch.arange(n, device=device)  # [B, M, N]
        cos, sin = rotary(positions.view(b, 1, m * n), self.config.head_size, self.config.rope_theta)
        x = self.embedding(tokens.view(b, m * n))
        x = x if causal else x + self.canvas_mark
        for block, layer in zip(self.blocks, states.layers, strict=True):
            assert isinstance(block, Block)
            if layer.keys.shape[0] != b:
                layer = LayerStates(*(t.expand(b, *t.shape[1:]) for t in (layer.keys, layer.values, layer.raw)))
            x = passes.branch(block, x, cos, sin, mask, layer, anchors, n)
        return self.norm(x).view(b, m, n, -1)

    def vocabulary_logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] over the vocabulary alone, before copying."""
        return F.linear(hidden, self.embedding.weight.to(hidden.dtype))

    def copy_attention(self, hidden: Tensor, copy_keys: Tensor, may_copy: Tensor) -> tuple[Tensor, Tensor]:
        """Log-weights [B, N, T-1] over copied positions and log-odds [B, N] of copying at all.

        Weight j points at context token j + 1, which followed the state that key j was made from. may_copy (bool)
        broadcasts to [B, N, T-1]; a row with nothing to copy gets log-weights of -inf and must not be mixed in.
        """
        queries = F.normalize(self.copy_query(hidden).float(), dim=-1) * self.copy_scale.exp()
        scores = (queries @ copy_keys[:, :-1].transpose(1, 2)).float()  # also under mixed precision
        scores = scores.masked_fill(~may_copy, float("-inf"))
        return F.log_softmax(scores, dim=-1), self.copy_gate(hidden).squeeze(-1).float()

    def log_probs(self, hidden: Tensor, states: ContextStates) -> Tensor:
        """Log-probabilities [B, N, V] for hidden states [B, N, D] that come after the whole context."""
        may_copy = torch.ones((), dtype=torch.bool, device=hidden.device)
        return self.mixed_log_probs(hidden, states.copy_keys, states.tokens[:, 1:], may_copy)

    def mixed_log_probs(self, hidden: Tensor, copy_keys: Tensor, followers: Tensor, may_copy: Tensor) -> Tensor:
        """Log-probabilities [B, N, V] for hidden states [B, N, D], vocabulary and copies mixed.

        followers [B, T-1] are the tokens that copy_keys [B, T, C] point at; for may_copy see `copy_attention`.
        """
        plain = F.log_softmax(self.vocabulary_logits(hidden).float(), dim=-1)
        if not followers.shape[1]:
            return plain
        weights, gate = self.copy_attention(hidden, copy_keys, may_copy)
        followers = followers.unsqueeze(1).expand(hidden.shape[0], hidden.shape[1], -1)
        copied = torch.zeros_like(plain).scatter_add_(-1, followers, weights.exp())
        gate = gate.unsqueeze(-1)
        return torch.logaddexp(plain + F.logsigmoid(-gate), copied.clamp_min(1e-20).log() + F.logsigmoid(gate))
