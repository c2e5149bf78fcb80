"""Has a body read texts and keeps what a denoising head learns from: a file of a hundred texts at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..model.asks import Context, Extend, Extended
from ..model.denoiser import ContextStates
from ..model.drafting import KeptStates
from ..model.forwards import ModelRunner
from ..model.infiller import DenoisingInfiller
from ..model.openvino_runner import OpenVinoRunner
from ..model.pages import joined
from .head_texts import N_AT_LEAST, N_READ_MOST, BodyText, save_texts
from .lora_examples import LoraStream

N_TEXTS = 100  # of a file
N_ASKED = 64  # tokens whose distributions are in memory together


class BodyReader:
    """Reads texts with an infiller's body. The infiller is of no other use then."""

    def __init__(self, infiller: DenoisingInfiller) -> None:
        self._infiller = infiller
        kept = KeptStates(infiller.config, torch.float32)
        if isinstance(infiller.run, OpenVinoRunner):
            infiller.run.copy_head = kept
        else:
            assert isinstance(infiller.run, ModelRunner)
            infiller.run.model.copy_head = kept

    @torch.inference_mode()
    def read(self, tokens: NDArray[np.int64], middle: int) -> BodyText:
        """A text as the body reads it. middle is the place of the mark behind which the body's next tokens are wanted;
        at most of the last N_READ_MOST tokens."""
        first = min(max(middle, N_AT_LEAST, len(tokens) - N_READ_MOST), len(tokens) - 1)
        (states,) = self._infiller.run([Context(torch.from_numpy(tokens[None, :first]), None)])
        assert isinstance(states, ContextStates)
        hidden, best = [states.copy_keys[0]], []
        for start in range(first, len(tokens), N_ASKED):
            (reply,) = self._infiller.run([Extend(tuple(tokens[start : start + N_ASKED].tolist()), states)])
            assert isinstance(reply, Extended)
            best.append(reply.log_probs.argmax(dim=-1).numpy().copy())
            hidden.append(reply.states.copy_keys[0])
            states = joined(states, reply.states)
        return BodyText.of(tokens, np.concatenate(best), torch.cat(hidden), first)


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
                at = len(context) - 1 - int((context[::-1] == middle).argmax())
                texts.append(reader.read(example.tokens, at))
            save_texts(path, texts)
        paths.append(path)
    return paths
