"""The copy head: a pointer over the context, mixed with the vocabulary (Merity et al. 2016, "Pointer Sentinel Mixture
Models"), that is given how far the text before each place it points at matches the current text.

Letters as in `denoiser`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..config import N_MATCH_CLASSES, N_MATCH_GAPS, DenoiserConfig
from ..special_tokens import Special
from .matches import canvas_matches, classes, context_matches, tree_matches

GATE_BIAS = -2.0  # starts at 12 % copying
MATCH_SCORE, MATCH_GATE = 0.8, 0.3  # initial values for each class of match length


@dataclass(frozen=True)
class Matches:
    """For each of N positions the classes [B, N, S] of its matches with S others, and its gap [B, N] (None: 0)."""

    classes: Tensor
    gaps: Tensor | None


class NoCopies(nn.Module):
    """Replaces the copy head in a model without one: keys of width 0, and nothing is copied."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config

    def initialise(self) -> None:
        """Nothing to initialise."""

    def keys(self, hidden: Tensor) -> Tensor:
        """Copy keys [B, N, 0], float32, of context states [B, N, D]."""
        return hidden.new_zeros((*hidden.shape[:2], 0), dtype=torch.float32)

    def matches_after(self, tokens: Tensor, n: int) -> None:
        """No matches, for any tokens [B, T]."""

    def matches_in(self, canvases: Tensor, tokens: Tensor, before: Tensor) -> None:
        """No matches, for any canvases [B, M, L] and tokens [B, T]."""


class CopyHead(nn.Module):
    """Which context tokens to copy, and whether to."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.query = nn.Linear(config.width, config.copy_size, bias=False)
        self.key = nn.Linear(config.width, config.copy_size, bias=False)
        self.log_sharpness = nn.Parameter(torch.tensor(2.0))
        self.gate = nn.Linear(config.width, 1)
        if config.copies_matches:
            self.match_score = nn.Parameter(torch.zeros(N_MATCH_GAPS * N_MATCH_CLASSES))
            self.match_gate = nn.Parameter(torch.zeros(N_MATCH_GAPS * N_MATCH_CLASSES))

    @torch.no_grad()
    def initialise(self) -> None:
        """Start by copying what followed the same token, best after longer matches; `Denoiser` fills the matrices."""
        self.key.weight.copy_(self.query.weight)  # so that equal states match
        self.gate.weight.zero_()
        self.gate.bias.fill_(GATE_BIAS)
        if self.config.copies_matches:
            length_class = torch.arange(N_MATCH_CLASSES, dtype=torch.float32).repeat(N_MATCH_GAPS)
            self.match_score.copy_(MATCH_SCORE * length_class)
            self.match_gate.copy_(MATCH_GATE * length_class)

    def keys(self, hidden: Tensor) -> Tensor:
        """Copy keys [B, N, C], float32, of context states [B, N, D]."""
        return F.normalize(self.key(hidden).float(), dim=-1)

    def forward(
        self, hidden: Tensor, copy_keys: Tensor, may_copy: Tensor | None, matches: Matches | None
    ) -> tuple[Tensor, Tensor]:
        """Log-weights [B, N, S] over tokens that may be copied and log-odds [B, N] of copying at all.

        copy_keys [B, S, C] are those of the positions before these tokens: to copy a context's tokens, of all but its
        last. may_copy (bool) broadcasts to [B, N, S], None is true everywhere; a row with nothing to copy gets
        log-weights of -inf and must not be mixed in.
        """
        queries = F.normalize(self.query(hidden).float(), dim=-1) * self.log_sharpness.exp()
        scores = (queries @ copy_keys.transpose(1, 2)).float()  # also under mixed precision
        gate = self.gate(hidden).squeeze(-1).float()
        if matches is not None:
            longest = _mask_out(matches.classes, may_copy, 0).amax(dim=-1, keepdim=True)
            scores = scores + _rows(self.match_score, matches).gather(-1, matches.classes)
            gate = gate + _rows(self.match_gate, matches).gather(-1, longest).squeeze(-1)
        return F.log_softmax(_mask_out(scores, may_copy, float("-inf")), dim=-1), gate

    def matches_after(self, tokens: Tensor, n: int) -> Matches | None:
        """Matches of the last n positions of context tokens [B, T]; None for a model that does not use them."""
        if not self.config.copies_matches or tokens.shape[1] < 2:
            return None
        lengths = context_matches(tokens, n, self.config.middle)
        return Matches(classes(lengths), None)

    def matches_in_tree(self, context: Tensor, tokens: Tensor, before: Tensor) -> Matches | None:
        """Matches [1, S, T - 1 + S] of a tree's tokens, see `matches.tree_matches`; None as for `matches_after`."""
        if not self.config.copies_matches:
            return None
        lengths = tree_matches(context, tokens, before, self.config.middle)
        return Matches(classes(lengths).unsqueeze(0), None)

    def matches_in(self, canvases: Tensor, tokens: Tensor, before: Tensor) -> Matches | None:
        """Matches of canvases [B, M, L], all M * L positions in a row, after positions with match lengths before.

        before [B, M, T-1] is of context tokens [B, T], see `matches.context_matches`. None as for `matches_after`.
        """
        if not self.config.copies_matches or tokens.shape[1] < 2:
            return None
        is_open = canvases == self.config.special(Special.MASK)
        lengths, gaps = canvas_matches(canvases, is_open, tokens, before)
        return Matches(classes(lengths.flatten(1, 2)), gaps.flatten(1, 2))


def _mask_out(values: Tensor, may_copy: Tensor | None, otherwise: float) -> Tensor:
    return values if may_copy is None else values.masked_fill(~may_copy, otherwise)


def _rows(table: Tensor, matches: Matches) -> Tensor:
    """The row of a table for each position [B, N, N_MATCH_CLASSES]."""
    if matches.gaps is None:  # not by an index: its gradient is slow where all are the same
        return table[:N_MATCH_CLASSES].expand(*matches.classes.shape[:2], N_MATCH_CLASSES)
    return table.view(N_MATCH_GAPS, N_MATCH_CLASSES)[matches.gaps]
