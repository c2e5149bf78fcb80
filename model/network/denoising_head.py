"""The denoising head of a published body: a few light layers that fill a whole canvas at once.

A body writes token by token. Its last hidden states know more than the next token, so a head reads them: canvas tokens
see each other, both ways, and by attention the body's states of the newest context tokens. What the head says is a
guess for the body, which reads it in one forward and keeps what it would have written itself (after Chen et al. 2026,
"DFlash"). The first place of a canvas is the body's own next token, which is known. Knows tensors only. Letters as in
`denoiser`; S is the number of words, the tokens that the head can say.
"""

import torch
from torch import Tensor, nn

from .denoiser import INIT_STD
from .head_config import HeadConfig
from .states import LayerStates
from .transformer import BranchPlace, Norm, TransformerBlock, branch_mask, rotations


class DenoisingHead(nn.Module):
    """Hidden states of canvases. Embeddings, in and out, are the body's.

    words [S] are the ids of the tokens that it can say.
    """

    words: Tensor

    def __init__(self, config: HeadConfig, words: Tensor) -> None:
        super().__init__()
        if len(words) != config.n_words:
            raise ValueError(f"a head of {config.n_words} words needs as many, not {len(words)}")
        self.config = config
        width = config.width
        self.feature_norm = Norm(width, eps=config.norm_eps)
        self.fuse = nn.Linear(width, width, bias=False)  # the body's states, as the layers read them
        self.anchor = nn.Linear(width, width, bias=False)  # the newest state, for every place of a canvas
        self.token_norm = Norm(width, eps=config.norm_eps)  # embeddings are small beside states
        self.token = nn.Linear(width, width, bias=False)
        self.hint = nn.Linear(width, width, bias=False)  # what n-grams guess for a masked place
        self.places = nn.Parameter(torch.zeros(config.n_canvas, width))
        self.mask = nn.Parameter(torch.empty(width))
        self.blocks = nn.ModuleList(TransformerBlock(config.layers) for _ in range(config.n_layers))
        self.norm = Norm(width, eps=config.norm_eps)
        self.log_sharpness = nn.Parameter(torch.zeros(()))
        self.register_buffer("words", words.long())
        self.initialise()

    def initialise(self) -> None:
        """Small normal weights; outputs into the residual stream start at zero."""
        nn.init.normal_(self.mask, std=INIT_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            nn.init.zeros_(block.attention.out.weight)
            nn.init.zeros_(block.ffn.down.weight)

    @torch.no_grad()
    def start_as(self, norm: Tensor) -> None:
        """Say at first, at every place, what the body says of its next token, or its hint: both pass through unchanged.

        norm [D] is the weight of the body's last norm, which its states have been through.
        """
        size = norm.abs()
        self.anchor.weight.copy_(torch.eye(self.config.width))
        self.hint.weight.copy_(torch.eye(self.config.width) * size.mean())
        self.feature_norm.weight.copy_(norm.sign() * size.mean() / size.clamp_min(float(size.median()) / 10))
        self.norm.weight.copy_(norm)

    def forward(self, features: Tensor, embedded: Tensor, is_mask: Tensor, anchors: Tensor) -> Tensor:
        """Hidden states [M, L, D] of canvases whose tokens are embedded [M, L, D], or masks where is_mask [M, L].

        What is embedded below a mask is a hint, or 0. Each canvas follows the token at anchors [M] among features
        [T, D], the body's states, and sees those up to it.
        """
        (m, n, width), n_context = embedded.shape, len(features)
        known = self.feature_norm(features)
        cos, sin = rotations(torch.arange(n_context, device=features.device), self.config.layers)
        places = anchors.unsqueeze(-1) + 1 + torch.arange(n, device=features.device)
        own_cos, own_sin = rotations(places.view(1, m * n), self.config.layers)
        both_ways = torch.zeros(1, m, dtype=torch.bool, device=features.device)
        mask = branch_mask(anchors.unsqueeze(0), both_ways, n_context, n)
        place = BranchPlace(own_cos, own_sin, mask, anchors.unsqueeze(0), n)
        normed = self.token_norm(embedded)
        x = torch.where(is_mask.unsqueeze(-1), self.mask + self.hint(normed), self.token(normed)) + self.places[:n]
        x = (x + self.anchor(known)[anchors].unsqueeze(1)).view(1, m * n, width)
        context = self.fuse(known).unsqueeze(0)
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            raw = block.attention.qkv(block.attention_norm(context))
            _, keys, values = block.attention.project(raw, None, cos, sin)
            x = block.branch(x, place, LayerStates(keys, values, raw[..., :0]))
        return self.norm(x).view(m, n, width)

    def logits(self, hidden: Tensor, spoken: Tensor) -> Tensor:
        """Logits [..., S] of the words for hidden [..., D]; spoken [S, D] are the words' embeddings."""
        return (hidden.to(spoken.dtype) @ spoken.T).float() * self.log_sharpness.exp()
