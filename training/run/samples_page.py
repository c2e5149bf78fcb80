"""The probe: fixed holes of the valid split, filled by the model in training, for people to read.

Rest-of-line holes, greedy by the threshold policy. A number from so few holes only shows that a run learns; checkpoints
are compared by `quicksilver eval heldout`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ...fim.budget import Budget
from ...model.completion.layout import OwnLayout
from ...model.decoding.denoise import denoise
from ...model.decoding.policies import threshold
from ...model.network.denoiser import Denoiser, rows_of
from ...model.runners.batching import ModelRunner
from ...model.runners.drive import drive_all
from ...model.tokenizers.canvas_tokens import CanvasTokens, canvas_tokens
from ...model.tokenizers.code_tokenizer import CodeTokenizer
from ..corpus.corpus import CorpusDocument
from ..data.holes import cut
from ..data.samples import N_CHARS_PER_TOKEN
from .log import SAMPLES, append, read_log

N_SUFFIX_SHARE = 0.3
N_SHOWN = 6
N_ROWS = 16  # holes filled at a time
N_TRUTH_MIN = 4  # characters
PAGE = "samples.md"


@dataclass(frozen=True)
class ProbeHole:
    """Context tokens, the text before the cursor on its line, and what stood after it."""

    context: tuple[int, ...]
    line: str
    truth: str


def draw_holes(
    documents: Sequence[CorpusDocument], tokenizer: CodeTokenizer, n_holes: int, n_context: int, seed: int = 7
) -> list[ProbeHole]:
    """Up to n_holes rest-of-line holes whose contexts have at most n_context tokens; the same ones every time."""
    rng = np.random.default_rng(seed)
    ends = np.cumsum([len(d.text) for d in documents])
    layout = OwnLayout(tokenizer)
    holes: list[ProbeHole] = []
    for _ in range(20 * n_holes if len(ends) else 0):
        document = documents[int(np.searchsorted(ends, rng.integers(0, ends[-1]), side="right"))]
        start, end = cut(rng, document.text, (0.0, 1.0, 0.0, 0.0))
        truth = document.text[start:end]
        if len(truth.strip()) < N_TRUTH_MIN:
            continue
        head = layout.head("python", document.path)
        room = n_context - len(head) - 2
        n_suffix = int(room * N_SUFFIX_SHARE)
        suffix = tokenizer.encode(document.text[end : end + n_suffix * N_CHARS_PER_TOKEN])[:n_suffix]
        prefix = tokenizer.encode(document.text[max(0, start - room * N_CHARS_PER_TOKEN) : start])
        prefix = prefix[max(0, len(prefix) - (room - len(suffix))) :]
        line = document.text[document.text.rfind("\n", 0, start) + 1 : start]
        holes.append(ProbeHole(tuple(layout.join(head, suffix, prefix)), line, truth))
        if len(holes) == n_holes:
            break
    return sorted(holes, key=lambda hole: len(hole.context))


def fill(model: Denoiser, tokenizer: CodeTokenizer, holes: Sequence[ProbeHole]) -> list[str]:
    """What the model writes into each hole, up to the end of the line. Holes are sorted by context length."""
    device = next(model.parameters()).device
    tokens = canvas_tokens(tokenizer, multiline=False)
    model.eval()
    texts: list[str] = []
    start = 0
    while start < len(holes):
        length = len(holes[start].context)
        rows = [hole.context for hole in holes[start : start + N_ROWS] if len(hole.context) == length]
        texts += _fill_rows(model, tokenizer, tokens, torch.tensor(rows, device=device))
        start += len(rows)
    return texts


@torch.inference_mode()
def _fill_rows(model: Denoiser, tokenizer: CodeTokenizer, tokens: CanvasTokens, contexts: torch.Tensor) -> list[str]:
    n_canvas = model.config.n_canvas
    with torch.autocast(contexts.device.type, torch.bfloat16):
        _, states = model.context(contexts)
        canvas = np.full((1, n_canvas), tokens.mask)
        budget = Budget(max_evaluations=n_canvas)
        works = [denoise(row, canvas, tokens, threshold(0.6), budget) for row in rows_of(states)]
        filled = drive_all(ModelRunner(model), works)
    texts: list[str] = []
    for row in (result.canvas[0].tolist() for result in filled):
        row = row[: row.index(tokens.end)] if tokens.end in row else row
        texts.append(tokenizer.decode(row).split("\n")[0])
    return texts


@dataclass(frozen=True)
class Probe:
    """Fixed holes, and where the model's answers are written."""

    tokenizer: CodeTokenizer
    holes: Sequence[ProbeHole]

    def exact(self, texts: Sequence[str]) -> int:
        """How many answers are right but for blanks at their end."""
        return sum(text.rstrip() == hole.truth.rstrip() for text, hole in zip(texts, self.holes, strict=True))

    def record(self, model: Denoiser, folder: Path, step: int, note: str = "") -> int:
        """Fill the holes, add a line to samples.jsonl and write samples.md anew. Returns how many were exact."""
        texts = fill(model, self.tokenizer, self.holes)
        n_exact = self.exact(texts)
        shown = range(0, len(texts), max(1, len(texts) // N_SHOWN))
        entry = {
            "step": step, "note": note, "exact": n_exact, "holes": len(texts),
            "shown": [
                {"line": self.holes[i].line, "truth": self.holes[i].truth, "text": texts[i]} for i in shown
            ],
        }  # fmt: skip
        append(folder, entry, SAMPLES)
        (folder / PAGE).write_text(_page(read_log(folder, SAMPLES)), encoding="utf-8")
        return n_exact


def _page(log: Sequence[dict]) -> str:
    """samples.md: the newest step on top; `‸` is the cursor."""
    parts = ["# Samples of the valid split\n\nThe line up to the cursor ‸, what the model wrote, what stood there.\n"]
    for entry in reversed(log):
        note = f" ({entry['note']})" if entry["note"] else ""
        parts.append(f"## Step {entry['step']}{note}: {entry['exact']} of {entry['holes']} exact\n")
        for shown in entry["shown"]:
            lines = (f"{shown['line'][-80:]}‸{shown['text']}", f"{' ' * len(shown['line'][-80:])}‸{shown['truth']}")
            parts.append("".join(f"    {line}\n" for line in lines))
    return "\n".join(parts)
