"""Has a body read texts and keeps its states for training a denoising head, in files of a hundred texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...model.completion.infiller import DenoisingInfiller
from ...model.network.states import ContextStates, join_states
from ...model.openvino.copy_head import NumpyKeptStates
from ...model.openvino.runner import OpenVinoRunner
from ...model.requests import Context, Extend, Extended
from .head_texts import N_AT_LEAST, N_READ_MOST, BodyText, save_texts
from .lora_examples import LoraStream

N_TEXTS = 100  # of a file
N_ASKED = 64  # tokens whose distributions are in memory together
N_TOGETHER = 25  # texts of one pass of the plain model


@dataclass(frozen=True)
class Reading:
    """Tokens [T] to be read, and the place of the mark behind which the body's next tokens are wanted."""

    tokens: NDArray[np.int64]
    middle: int

    @property
    def first(self) -> int:
        """The first token after which the body's next one is asked: at most the last N_READ_MOST."""
        n = len(self.tokens)
        return min(max(self.middle, N_AT_LEAST, n - N_READ_MOST), n - 1)


class BodyReader:
    """Reads texts with an infiller's body. The infiller is of no other use then."""

    def __init__(self, infiller: DenoisingInfiller) -> None:
        self._infiller = infiller
        if isinstance(infiller.run, OpenVinoRunner):
            infiller.run.copy_head = NumpyKeptStates()

    def read(self, texts: Sequence[Reading]) -> list[BodyText]:
        """The texts as the body reads them."""
        if isinstance(self._infiller.run, OpenVinoRunner):
            return [self._alone(text) for text in texts]
        return [each for at in range(0, len(texts), N_TOGETHER) for each in self._together(texts[at : at + N_TOGETHER])]

    def _alone(self, text: Reading) -> BodyText:
        tokens, first = text.tokens, text.first
        (states,) = self._infiller.run([Context(tokens[None, :first], None)])
        assert isinstance(states, ContextStates)
        hidden, best = [states.copy_keys[0]], []
        for start in range(first, len(tokens), N_ASKED):
            (reply,) = self._infiller.run([Extend(tuple(tokens[start : start + N_ASKED].tolist()), states)])
            assert isinstance(reply, Extended)
            best.append(reply.log_probs.argmax(axis=-1))
            hidden.append(reply.states.copy_keys[0])
            states = join_states(states, reply.states)
        return BodyText.of(tokens, np.concatenate(best), np.concatenate(hidden), first)

    @torch.inference_mode()
    def _together(self, texts: Sequence[Reading]) -> list[BodyText]:
        """Several texts in one pass of the plain model; what fills up the shorter ones stands behind them."""
        model, lengths = self._infiller.checkpoint.model, [len(text.tokens) for text in texts]
        tokens = torch.zeros(len(texts), max(lengths), dtype=torch.long)
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text.tokens)] = torch.from_numpy(text.tokens)
        hidden, _ = model.context(tokens.to(model.embedding.weight.device))
        found = []
        for row, text, n in zip(hidden, texts, lengths, strict=True):
            best = model.vocabulary_logits(row[text.first : n]).argmax(dim=-1)
            found.append(BodyText.of(text.tokens, best.cpu().numpy(), row[:n].float().cpu().numpy(), text.first))
        return found


def collect(
    infiller: DenoisingInfiller,
    stream: LoraStream,
    folder: Path,
    name: str,
    n_texts: int,
    seed: int,
    is_over: Callable[[int], bool],
) -> list[Path]:
    """Files of at least n_texts texts, those that are in folder already and new ones; fewer where is_over, which hears
    how many there are, says so between two files."""
    reader, paths = BodyReader(infiller), []
    middle = stream.tokenizer.marks.middle
    for number in range(-(-n_texts // N_TEXTS)):
        path = folder / f"{name}-{seed}-{number:05}.npz"
        if not path.exists():
            if is_over(number * N_TEXTS):
                break
            rng = np.random.default_rng((seed, number))
            texts = []
            for _ in range(N_TEXTS):
                example = stream.example(rng)
                context = example.tokens[: example.n_context]
                texts.append(Reading(example.tokens, len(context) - 1 - int((context[::-1] == middle).argmax())))
            save_texts(path, reader.read(texts), infiller.checkpoint.sha256)
        paths.append(path)
    return paths
