"""The denoiser: one transformer body, read in two passes, with two output distributions mixed into one.

The *context pass* is causal and fills a `ContextStates`; the *canvas pass* lets canvas tokens see the whole context
and each other. Context never sees the canvas, so context states stay valid while a canvas is denoised and while the
user types. Both passes use the same weights: the causal pass predicts the next token, the canvas pass the token at its
own position.

Layers are in `transformer`; a *copy head* (`copy_head`) points into the context, and its distribution is mixed with the
vocabulary's. A published body has no copy head and was taught no canvases: its causal pass alone is used.

Knows tensors only: no text, no policy, no cache eviction. Letters: B batch, T context, M canvases, L canvas, D width,
H heads, K key heads, E head size, W qkv width, C copy size, V vocabulary.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..config import DenoiserConfig
from .copy_head import CopyHead, Matches, NoCopies
from .matches import context_matches
from .states import ContextStates, LayerStates
from .transformer import PLAIN, BlockPasses, BranchPlace, Norm, TransformerBlock, rotations

INIT_STD = 0.02


def rows_of(states: ContextStates) -> list[ContextStates]:
    """The states of each row of a batch, as views."""
    return [
        ContextStates(
            [LayerStates(s.keys[i : i + 1], s.values[i : i + 1], s.raw[i : i + 1]) for s in states.layers],
            states.copy_keys[i : i + 1],
            states.tokens[i : i + 1],
        )
        for i in range(states.tokens.shape[0])
    ]


class Denoiser(nn.Module):
    """Token ids in, hidden states out; `log_probs` turns hidden states into distributions."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        # Tells a canvas token from a context token.
        self.canvas_mark = nn.Parameter(torch.zeros(config.width)) if config.canvases else None
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.n_layers))
        self.norm = Norm(config.width, eps=config.norm_eps)
        self.head = None if config.tied else nn.Linear(config.width, config.vocab_size, bias=False)
        self.copy_head = CopyHead(config) if config.copies else NoCopies(config)
        self.initialise()

    def initialise(self) -> None:
        """Small normal weights; outputs into the residual stream start at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=INIT_STD)
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.ffn.down.weight)
        self.copy_head.initialise()

    def context(
        self, tokens: Tensor, past: ContextStates | None = None, passes: BlockPasses = PLAIN
    ) -> tuple[Tensor, ContextStates]:
        """Causal pass over new tokens [B, N] that follow past: hidden states [B, N, D] and all states so far."""
        n_past = 0 if past is None else past.n_tokens
        n = tokens.shape[1]
        positions = torch.arange(n_past, n_past + n, device=tokens.device)
        cos, sin = rotations(positions, self.config)
        mask = passes.context_mask(n, tokens.device) if past is None else None
        if past is not None and n > 1:
            mask = positions.unsqueeze(1) >= torch.arange(n_past + n, device=tokens.device)  # [N, T]
        x = self.embedding(tokens)
        layers: list[LayerStates] = []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)
            x, states = passes.context(block, x, cos, sin, mask, None if past is None else past.layers[i])
            layers.append(states)
        hidden = self.norm(x)
        copy_keys = self.copy_head.keys(hidden)
        if past is not None:
            copy_keys = torch.cat((past.copy_keys, copy_keys), dim=1)
            tokens = torch.cat((past.tokens, tokens), dim=1)
        return hidden, ContextStates(layers, copy_keys, tokens)

    def canvas(
        self,
        canvases: Tensor,
        states: ContextStates,
        anchors: Tensor | None = None,
        is_causal: Tensor | None = None,
        passes: BlockPasses = PLAIN,
    ) -> Tensor:
        """Canvas pass: hidden states [B, M, L, D] of canvases [B, M, L].

        Each canvas follows the context position anchors [B, M] (default: the last one) and sees the context up to it,
        and itself, never its siblings. Where is_causal (bool [B, M], default: nowhere) it is a continuation instead: it
        begins with the MIDDLE mark, and each of its tokens sees only those before. States with a batch of 1 serve every
        row of canvases.
        """
        b, m, n = canvases.shape
        n_context, device = states.n_tokens, canvases.device
        is_whole = anchors is None and is_causal is None and m == 1  # a lone canvas at the end sees everything
        if is_causal is None:
            is_causal = torch.zeros((b, m), dtype=torch.bool, device=device)
        if anchors is None:
            anchors = torch.full((b, m), n_context - 1, device=device)
        mask = None if is_whole else passes.branch_mask(anchors, is_causal, n_context, n)
        positions = anchors.unsqueeze(-1) + 1 + torch.arange(n, device=device)  # [B, M, L]
        cos, sin = rotations(positions.view(b, 1, m * n), self.config)
        x = self.branch_inputs(canvases.view(b, m * n), is_causal.repeat_interleave(n, dim=1))
        place = BranchPlace(cos, sin, mask, anchors, n)
        for block, layer in zip(self.blocks, states.layers, strict=True):
            assert isinstance(block, TransformerBlock)
            if layer.keys.shape[0] != b:
                layer = LayerStates(*(t.expand(b, *t.shape[1:]) for t in (layer.keys, layer.values, layer.raw)))
            x = passes.branch(block, x, place, layer)
        return self.norm(x).view(b, m, n, -1)

    def branch_inputs(self, tokens: Tensor, is_causal: Tensor) -> Tensor:
        """Embeddings [B, N, D] of branches' tokens [B, N]; those of canvases, not is_causal [B, N], carry a mark."""
        x = self.embedding(tokens)
        return x if self.canvas_mark is None else x + self.canvas_mark * ~is_causal.unsqueeze(-1)

    def vocabulary_logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] over the vocabulary alone, before copying."""
        if self.head is not None:
            return self.head(hidden)
        return F.linear(hidden, self.embedding.weight.to(hidden.dtype))

    def log_probs(self, hidden: Tensor, states: ContextStates, canvas: Tensor | None = None) -> Tensor:
        """Log-probabilities [B, N, V] for hidden states [B, N, D] that come after the whole context.

        They are those of canvas [B, N] or, without one, of the context's last position (N = 1).
        """
        if canvas is None:
            matches = self.copy_head.matches_after(states.tokens, 1)
        else:
            matches = canvas_rows_matches(self.copy_head, states, canvas)
        return self.mixed_log_probs(hidden, states.copy_keys, states.tokens[:, 1:], None, matches)

    def mixed_log_probs(
        self,
        hidden: Tensor,
        copy_keys: Tensor,
        followers: Tensor,
        may_copy: Tensor | None,
        matches: Matches | None,
    ) -> Tensor:
        """Log-probabilities [B, N, V] for hidden states [B, N, D], vocabulary and copies mixed.

        followers [B, T-1] are the tokens that copy_keys [B, T, C] point at; for may_copy see `CopyHead.forward`.
        """
        plain = F.log_softmax(self.vocabulary_logits(hidden).float(), dim=-1)
        if not followers.shape[1] or not isinstance(self.copy_head, CopyHead):
            return plain
        weights, gate = self.copy_head(hidden, copy_keys[:, :-1], may_copy, matches)
        return mixture(plain, weights, gate, followers)


def mixture(plain: Tensor, weights: Tensor, gate: Tensor, followers: Tensor) -> Tensor:
    """Log-probabilities [B, N, V]: those of the vocabulary, plain, mixed with copies.

    weights [B, N, S] are log-weights of copying each of followers [B or 1, S], gate [B, N] the log-odds of copying.
    """
    followers = followers.unsqueeze(1).expand(weights.shape)
    copied = torch.zeros_like(plain).scatter_add_(-1, followers, weights.exp())
    gate = gate.unsqueeze(-1)
    return torch.logaddexp(plain + F.logsigmoid(-gate), copied.clamp_min(1e-20).log() + F.logsigmoid(gate))


def canvas_rows_matches(head: CopyHead | NoCopies, states: ContextStates, canvas: Tensor) -> Matches | None:
    """Matches of canvases [M, L] that each follow the whole context in states (batch 1, or M)."""
    if not isinstance(head, CopyHead) or not head.config.copies_matches:
        return None
    tokens = states.tokens.expand(len(canvas), -1)
    if states.last_matches is None:
        states.last_matches = context_matches(states.tokens, 1, head.config.middle)
    before = states.last_matches.expand(len(canvas), 1, -1)
    return head.matches_in(canvas.unsqueeze(1), tokens, before)
