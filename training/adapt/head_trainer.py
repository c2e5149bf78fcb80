"""Trains a denoising head on texts that a body has read: steps, learning rates, examination, state to resume from.

Of the body it needs the embedding alone.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ...fim.errors import InputError
from ...model.decoding.ngrams import Ngrams
from ...model.network.denoising_head import DenoisingHead
from ..run.state_file import read_state, unusable, write_state
from .head_texts import BodyText, HeadCanvases, canvases

EXAMINATION = 2**31  # the seed of canvases of held-out texts: no step has this number
SURE = (0.3, 0.5, 0.7)  # a guess ends before the first place that is less sure


@dataclass(frozen=True, kw_only=True)
class HeadPlan:
    """How long and how fast a head is trained, by AdamW. n_texts of a step, n_anchors canvases of each. decay_share: of
    the minutes, at the end, in which the rate falls to 0. decay: of matrices, a share of the rate a step."""

    minutes: float
    rate: float = 1e-3
    n_warmup: int = 20
    decay_share: float = 0.4
    decay: float = 0.01
    n_texts: int = 8
    n_anchors: int = 24
    gradient_norm: float = 1.0
    seed: int = 1

    def factor(self, step: int, share_done: float) -> float:
        """The rate of a step, as a share of the highest."""
        return min(1.0, (step + 1) / self.n_warmup) * min(1.0, max(0.0, (1 - share_done) / self.decay_share))


@dataclass(frozen=True, kw_only=True)
class HeadExam:
    """The quality of a head on held-out texts, with one step on canvases that are all masks but for the body's own next
    token: the share of right tokens at each place behind it, given that the body would come there; tokens that the body
    keeps of a guess; and for each of SURE tokens kept and guessed."""

    right: tuple[float, ...]
    kept: float
    sure: tuple[tuple[float, float], ...]


class HeadTrainer:
    """The head and its optimizer. embedding [V, D] is the body's; both are on one device."""

    def __init__(
        self,
        head: DenoisingHead,
        embedding: Tensor,
        texts: Sequence[BodyText],
        plan: HeadPlan,
        clock: Callable[[], float] = time.monotonic,
        body: str = "",
        ngrams: Ngrams | None = None,
    ) -> None:
        """body is the SHA-256 of the body's weights. ngrams give hints."""
        self.body, self._ngrams = body, ngrams
        self.head, self.plan, self._texts, self._clock = head, plan, texts, clock
        self._embedding = embedding
        self._speak()
        groups = [
            {
                "params": [weight for weight in head.parameters() if (weight.ndim == 2) == is_matrix],
                "weight_decay": decay,
            }
            for is_matrix, decay in ((True, plan.decay), (False, 0.0))
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.95))
        self.step, self.seconds, self.n_places = 0, 0.0, 0

    def _speak(self) -> None:
        """Know the embeddings of the head's words [S, D], and each token's place among them [V], or -1."""
        words = self.head.words
        self._spoken = self._embedding[words].to(torch.bfloat16)
        self._place = torch.full((len(self._embedding),), -1, device=words.device)
        self._place[words] = torch.arange(len(words), device=words.device)

    @property
    def share_done(self) -> float:
        """How much of the plan's minutes is over."""
        return self.seconds / (60 * self.plan.minutes)

    def steps(self) -> Iterator[float]:
        """Train until the minutes are over; yields the mean loss of each step, in nats."""
        while self.share_done < 1:
            yield self._step()

    def _step(self) -> float:
        start_s = self._clock()
        rng = np.random.default_rng((self.plan.seed, self.step))
        rate, losses = self.plan.rate * self.plan.factor(self.step, self.share_done), []
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        for _ in range(self.plan.n_texts):
            text = self._texts[int(rng.integers(len(self._texts)))]
            found = canvases(rng, text, self.plan.n_anchors, self.head.config, self._ngrams)
            if found is not None and (loss := self._loss(found.to(self._embedding.device))) is not None:
                (loss / self.plan.n_texts).backward()
                losses.append(loss.detach())
        nn.utils.clip_grad_norm_(self.head.parameters(), self.plan.gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        mean = float(torch.stack(losses).mean()) if losses else 0.0  # waits for a GPU
        self.step += 1
        self.seconds += self._clock() - start_s
        return mean

    def _hidden(self, of: HeadCanvases) -> Tensor:
        embedded = self._embedding[of.tokens].float() * of.is_given.unsqueeze(-1)
        with torch.autocast(self._embedding.device.type, dtype=torch.bfloat16):
            return self.head(of.states, embedded, of.is_mask, of.anchors)

    def _loss(self, of: HeadCanvases) -> Tensor | None:
        """The weighted mean over masked places whose token the head can say; None without one."""
        places = self._place[of.targets]
        chosen = (of.weights > 0) & (places >= 0)
        if not bool(chosen.any()):
            return None
        self.n_places += int(chosen.sum())
        logits = self.head.logits(self._hidden(of)[chosen], self._spoken)
        weights = of.weights[chosen]
        return (F.cross_entropy(logits, places[chosen], reduction="none") * weights).sum() / weights.sum()

    @torch.no_grad()
    def examine(self, texts: Sequence[BodyText]) -> HeadExam:
        """The head's quality on texts. No step has the seed of their canvases."""
        rng = np.random.default_rng((EXAMINATION, 0))
        rights, owns, sures = [], [], []
        for text in texts:
            found = canvases(rng, text, self.plan.n_anchors, self.head.config, self._ngrams, all_masked=True)
            if found is None:
                continue
            found = found.to(self._embedding.device)
            best = self.head.logits(self._hidden(found), self._spoken).softmax(dim=-1).max(dim=-1)
            rights.append((self.head.words[best.indices] == found.targets)[:, 1:])
            owns.append(found.is_own[:, 1:])
            sures.append(best.values[:, 1:])
        if not rights:
            raise InputError("no held-out text is long enough: give other --data")
        right, own, sure = torch.cat(rights), torch.cat(owns), torch.cat(sures)
        kept = (right & own).long().cumprod(dim=1)
        guessed = [(sure > least).long().cumprod(dim=1) for least in SURE]
        return HeadExam(
            right=tuple(round(float(x), 4) for x in (right & own).sum(0) / own.sum(0).clamp_min(1)),
            kept=round(float(kept.sum(1).float().mean()), 4),
            sure=tuple(
                (round(float((kept * g).sum(1).float().mean()), 3), round(float(g.sum(1).float().mean()), 3))
                for g in guessed
            ),
        )

    def save(self, folder: Path) -> None:
        """Write the state. Raises NotSaved."""
        write_state(
            folder,
            {
                "body": self.body,
                "head": self.head.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "step": self.step, "seconds": self.seconds, "n_places": self.n_places,
            },
        )  # fmt: skip

    def resume(self, folder: Path) -> bool:
        """Go on from the state in folder; False if there is none. Raises InputError for one of another head."""
        state = read_state(folder)
        if state is None:
            return False
        try:
            self._restore(state)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise unusable(folder, error) from error
        return True

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state["body"] != self.body:
            raise ValueError("it is a head of another body")
        self.head.load_state_dict(state["head"])
        self._speak()  # other texts have other words, and a run keeps those that it began with
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.n_places = int(state["step"]), float(state["seconds"]), int(state["n_places"])


def words_of(state: Mapping[str, Any], folder: Path) -> Tensor:
    """The words [S] of the head in a state of folder. Raises InputError if it holds none."""
    words = state["head"].get("words") if isinstance(state.get("head"), dict) else None
    if not isinstance(words, Tensor) or words.ndim != 1:
        raise unusable(folder, TypeError("it holds no head"))
    return words
