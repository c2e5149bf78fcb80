"""Matches: how far the text before one position agrees with the text before another, counted in tokens.

The copy head points at what followed earlier positions. Where the last few tokens occurred before, what followed them
is likely to follow again. A small model takes very long to learn that, so matches are counted here and given to it
(after the n-gram heads of Akyürek et al. 2024, "In-Context Language Learning"). Masks in a canvas pass a match on, so
that a canvas of nothing but masks sees the whole continuation of an earlier match at once.

Integers only, no weights, no gradients. Letters as in `denoiser`: B batch, T context, M canvases, L canvas.
"""

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..config import MATCH_BOUNDS, N_MATCH_GAPS

N_MAX = 12  # longer matches count as this long
_CLASS_OF = torch.tensor([sum(length >= bound for bound in MATCH_BOUNDS) for length in range(N_MAX + 1)])


@torch.no_grad()
def context_matches(tokens: Tensor, n: int, skipped: int | None = None) -> Tensor:
    """Lengths [B, n, T - 1] (uint8, at most N_MAX) of matches for the last n positions of tokens [B, T].

    Entry (i, j) counts how many tokens up to and with position T - n + i equal those up to and with position j; what
    followed j is what a copy would take. Only j before the position are meaningful. The token skipped, which is in no
    document and never first, counts as absent, and nothing points at it.
    """
    n_tokens = tokens.shape[1]
    text, place = (tokens, None) if skipped is None else _without(tokens, skipped)
    start = max(0, n_tokens - n - N_MAX - (place is not None))
    at_a_time = 1 if tokens.device.type == "cpu" else len(text)  # a row's pairs stay in a core's cache
    counted = torch.cat([_count(rows, start) for rows in text.split(at_a_time)])  # [B, T - start, T]
    if place is None:
        return counted[:, n_tokens - n - start :, :-1]
    rows, columns = place[:, n_tokens - n :] - start, place[:, :-1]
    batch = torch.arange(len(tokens), device=tokens.device)
    counted = counted[batch[:, None, None], rows.unsqueeze(2), columns.unsqueeze(1)]
    return counted.masked_fill((tokens[:, 1:] == skipped).unsqueeze(1), 0)


def _without(tokens: Tensor, skipped: int) -> tuple[Tensor, Tensor]:
    """tokens [B, T] with the skipped ones moved to the end, and for each place [B, T] where its text now ends."""
    is_skipped = tokens == skipped
    order = is_skipped.to(torch.uint8).argsort(dim=1, stable=True)
    return tokens.gather(1, order), ((~is_skipped).cumsum(dim=1) - 1).clamp_min(0)


def _count(rows: Tensor, start: int) -> Tensor:
    """Match lengths [B, T - start, T] of positions from start on with all positions of rows [B, T]."""
    same = rows[:, start:].unsqueeze(2) == rows.unsqueeze(1)
    run, count = same, same.to(torch.uint8)
    for _ in range(N_MAX - 1):
        longer = torch.zeros_like(same)
        torch.logical_and(same[:, 1:, 1:], run[:, :-1, :-1], out=longer[:, 1:, 1:])
        run = longer
        count += run
    return count


@torch.no_grad()
def canvas_matches(canvases: Tensor, is_open: Tensor, tokens: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths [B, M, L, T - 1] (uint8) of matches for canvas positions, and gaps [B, M, L].

    canvases and is_open (bool, a mask stands there) are [B, M, L], tokens [B, T] the context, before [B, M, T - 1] the
    match lengths of the context position that each canvas follows. A mask agrees with anything and counts for nothing;
    the gap is the number of masks right before a position, at most N_MATCH_GAPS - 1.
    """
    n = canvases.shape[2]
    ahead = F.pad(tokens[:, 1:], (0, n), value=-1).unfold(1, n, 1)[:, :-1].transpose(1, 2)  # [B, L, T - 1]
    is_mask = is_open.unsqueeze(-1)
    same = ahead.unsqueeze(1) == canvases.unsqueeze(-1)  # [B, M, L, T - 1], column a: laid against what follows a
    count = before.unsqueeze(2) + (same & ~is_mask).cumsum(dim=2, dtype=torch.uint8)
    lost = torch.where(same | is_mask, 0, count).cummax(dim=2).values  # the match before the last difference
    lengths = torch.cat((before.unsqueeze(2), (count - lost)[:, :, :-1]), dim=2).clamp_max(N_MAX)
    place = torch.arange(n, device=canvases.device)
    last_known = torch.where(is_open, -1, place).cummax(dim=2).values
    gaps = F.pad(place[:-1] - last_known[..., :-1], (1, 0))
    return _by_position(lengths), gaps.clamp_max(N_MATCH_GAPS - 1)


def _by_position(lengths: Tensor) -> Tensor:
    """Move row p of lengths [B, M, L, S] p columns to the right: from where a canvas lies to what a copy takes."""
    b, m, n, size = lengths.shape
    width = size + n
    moved = lengths.new_zeros(b, m, n, width)
    moved.as_strided((b, m, n, size), (m * n * width, n * width, width + 1, 1)).copy_(lengths)
    return moved[..., :size]


@torch.no_grad()
def tree_matches(context: Tensor, tokens: Tensor, before: Tensor, skipped: int | None = None) -> Tensor:
    """Lengths [S, T - 1 + S] (uint8) of matches for the tokens [S] of a tree after a context [T].

    before [S] is the token before each: 0 the context's last, 1 + i token i. Column j < T - 1 is for copying context
    token j + 1, column T - 1 + s for copying token s, which only those behind it may do. skipped as in
    `context_matches`.
    """
    n_context, n = len(context), len(tokens)
    text = torch.cat((context, tokens))
    nothing = n_context + n  # the place before the first
    place = torch.arange(nothing + 1, device=text.device)
    earlier = torch.cat((place[:n_context] - 1, before + n_context - 1, place[-1:])).remainder(nothing + 1)
    if skipped is not None:  # where the text up to and with each place ends
        is_skipped = F.pad(text == skipped, (0, 1))
        place = torch.where(is_skipped, earlier, place)
        earlier = place[earlier]
    rows, columns = place[n_context:-1], torch.cat((place[: n_context - 1], place[before + n_context - 1]))
    row_ids, column_ids = (F.pad(text.int(), (0, 1), value=value) for value in (-1, -2))
    run = torch.ones((n, len(columns)), dtype=torch.bool, device=text.device)
    count = torch.zeros_like(run, dtype=torch.uint8)
    for _ in range(N_MAX):
        run &= row_ids[rows].unsqueeze(1) == column_ids[columns]
        count += run
        rows, columns = earlier[rows], earlier[columns]
    followers = torch.cat((context[1:], tokens))
    return count if skipped is None else count.masked_fill(followers == skipped, 0)


@torch.no_grad()
def classes(lengths: Tensor) -> Tensor:
    """The class (int64, 0 … N_MATCH_CLASSES - 1) of each match length."""
    return _class_of(lengths.device)[lengths.int()]


@cache
def _class_of(device: torch.device) -> Tensor:
    """The class of every length from 0 to N_MAX, [N_MAX + 1]; copied to each device once, since a copy blocks."""
    return _CLASS_OF.to(device)
