"""The loss for a GPU: FlexAttention over block masks, compiled blocks and fused scores. Same numbers as `loss`.

Blocks are compiled one by one: all layers share the code of one, so that a shape costs seconds of compiling instead of
a minute. Shapes are fixed: one context pass and one canvas pass for every stage of a run. Validation and sampling use
the plain loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from ...fim.errors import InputError
from ...model.network.transformer import PLAIN, BlockPasses, TransformerBlock
from .loss import AS_WRITTEN, Passes, copied_log_probs, slice_gradients, slice_scores

N_ROWS_GPU = 16_384  # rows of logits alive at a time: 0.5 GB of bfloat16 at 16k ids, large enough to fill a GPU

Compile = Callable[..., Callable[..., Any]]


@dataclass(frozen=True)
class FlexAttention:
    """Attention under a block mask; query heads share key heads without copying them. An `Attend`."""

    mask: BlockMask

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixed = flex_attention(q, k, v, block_mask=self.mask, enable_gqa=q.shape[1] != k.shape[1])
        assert isinstance(mixed, Tensor)
        return mixed


@dataclass
class FlexMasks:
    """Block masks for contexts, kept by length, and for branches, made for every batch's anchors."""

    _contexts: dict[tuple[int, torch.device], FlexAttention] = field(default_factory=dict)

    def context(self, n_context: int, device: torch.device) -> FlexAttention:
        """Causal attention over n_context tokens."""
        key = (n_context, device)
        if key not in self._contexts:
            mask = create_block_mask(_is_earlier, None, None, n_context, n_context, device=device)
            self._contexts[key] = FlexAttention(mask)
        return self._contexts[key]

    def branch(self, anchors: Tensor, is_causal: Tensor, n_context: int, n: int) -> FlexAttention:
        """The block form of `network.transformer.branch_mask`."""
        b, m = anchors.shape

        def sees(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            owner = query // n
            in_context = key <= anchors[row, owner]  # an anchor lies in the context
            own = key - n_context
            is_own = (own >= 0) & (own // n == owner)
            return in_context | (is_own & ((own <= query) | ~is_causal[row, owner]))

        return FlexAttention(create_block_mask(sees, b, None, m * n, n_context + m * n, device=anchors.device))


def _is_earlier(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return query >= key


def flex_blocks() -> BlockPasses:
    """Blocks as written, with FlexAttention."""
    masks = FlexMasks()
    return BlockPasses(context_mask=masks.context, branch_mask=masks.branch)


def compile_passes(blocks: BlockPasses, compile_: Compile = torch.compile) -> Passes:
    """Everything that is worth compiling, compiled; blocks give the masks. Nothing happens before the first call."""
    return replace(
        compiled_blocks(blocks, compile_),
        copied=compile_(copied_log_probs, dynamic=False),
        scores=compile_(slice_scores, dynamic=True),  # the last slice is shorter
        gradients=compile_(slice_gradients, dynamic=True),
    )


def compiled_blocks(blocks: BlockPasses, compile_: Compile = torch.compile) -> Passes:
    """Only the blocks compiled."""
    context, branch = (
        compile_(TransformerBlock.context, dynamic=False),
        compile_(TransformerBlock.branch, dynamic=False),
    )
    return Passes(blocks=replace(blocks, context=context, branch=branch), n_rows=N_ROWS_GPU)


@dataclass(frozen=True)
class Way:
    """One way to compute the loss, with words for it."""

    words: str
    passes: Passes


def ways(device: torch.device) -> Sequence[Way]:
    """The ways worth trying there, fastest first; the last one is as written and works everywhere."""
    if device.type != "cuda":
        return (Way("plain attention, not compiled", AS_WRITTEN),)
    return (
        Way("FlexAttention, compiled", compile_passes(flex_blocks())),
        Way("FlexAttention, blocks compiled", compiled_blocks(flex_blocks())),
        Way("plain attention, blocks compiled", compiled_blocks(PLAIN)),
        Way("plain attention, not compiled", Passes(n_rows=N_ROWS_GPU)),
    )


def first_that_works(candidates: Sequence[Way], trial: Callable[[Passes], None], say: Callable[[str], None]) -> Way:
    """The first way whose trial ends without an error; the last one is not tried.

    Running out of memory is no reason to take another way, which would need no less, and is raised.
    """
    for way in candidates[:-1]:
        try:
            trial(way.passes)
        except (torch.OutOfMemoryError, InputError):
            raise
        except Exception as error:  # compilers raise many kinds; an error of the model shows again in the last way
            say(f"{way.words}: does not work here ({type(error).__name__}: {' '.join(str(error).split())[:300]})")
            continue
        return way
    return candidates[-1]
