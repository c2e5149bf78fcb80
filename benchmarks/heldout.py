"""`quicksilver eval heldout`: how well a checkpoint fills holes in packages that training never saw.

Rest-of-line holes: the cursor stands at a random character of a random line, the rest of the line is taken out. Lines
are equally likely, blank ones left out; what is taken out is never blank. Every decoder sees the same holes and answers
with one line; no editor rules (trimming, gating) are applied.
"""

import json
import platform
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ..fim.errors import InputError
from ..fim.types import CompletionRequest, Hole, PolicyName
from ..model.denoise import never
from ..model.infiller import N_TOKENS_LINE, DenoisingInfiller, load_infiller
from ..training import corpus
from . import floors
from .command import Parser


@dataclass(frozen=True)
class Task:
    """One hole: where it was cut and what stood there."""

    package: str
    path: str
    prefix: str
    suffix: str
    truth: str


@dataclass(frozen=True)
class Answer:
    """One decoder's filling of one hole; steps are forwards over canvas or next token."""

    text: str
    steps: int = 0
    confidence: float = 0.0
    ms: float = 0.0


@dataclass
class Score:
    """Sums over the holes of one decoder."""

    name: str
    n: int = 0
    exact: int = 0
    similarity: float = 0.0
    steps: int = 0
    ms: list[float] = field(default_factory=list)
    calibration: list[tuple[float, bool]] = field(default_factory=list)

    def add(self, answer: Answer, truth: str) -> None:
        """Count one answer; trailing blanks do not matter."""
        text = answer.text.split("\n")[0].rstrip()
        self.n += 1
        self.exact += text == truth.rstrip()
        self.similarity += Levenshtein.normalized_similarity(text, truth.rstrip())
        self.steps += answer.steps
        self.ms.append(answer.ms)
        self.calibration.append((answer.confidence, text == truth.rstrip()))

    def precision_at(self, coverage: float) -> float:
        """The exact share among the surest coverage of all answers."""
        surest = sorted(self.calibration, key=lambda pair: -pair[0])[: max(1, round(coverage * self.n))]
        return sum(right for _, right in surest) / len(surest)

    def row(self) -> dict[str, Any]:
        """The numbers of a report, as data."""
        return {
            "decoder": self.name,
            "holes": self.n,
            "exact_match": round(self.exact / self.n, 4),
            "edit_similarity": round(self.similarity / self.n, 4),
            "mean_steps": round(self.steps / self.n, 2),
            "median_ms": round(sorted(self.ms)[self.n // 2], 2),
            "precision_at_half": round(self.precision_at(0.5), 4),
        }


Decoder = Callable[[Task], Answer]


def rest_of_line_tasks(documents: list[corpus.Document], n: int, seed: int) -> Iterator[Task]:
    """n holes, spread evenly over packages, from a fixed seed."""
    rng = random.Random(seed)
    packages: dict[str, list[corpus.Document]] = {}
    for document in documents:
        packages.setdefault(document.package, []).append(document)
    names = sorted(packages)
    if not names:
        raise InputError("the corpus has no held-out packages")
    made = 0
    while made < n:
        document = rng.choice(packages[names[made % len(names)]])
        lines = document.text.split("\n")
        number = rng.randrange(len(lines))
        line = lines[number]
        if not line.strip():
            continue
        start = sum(len(earlier) + 1 for earlier in lines[:number])
        column = rng.randrange(len(line) - len(line.lstrip()), len(line.rstrip()))
        cursor, end, text = start + column, start + len(line), document.text
        yield Task(document.package, document.path, text[:cursor], text[end:], text[cursor:end])
        made += 1


def request_of(task: Task, policy: PolicyName) -> CompletionRequest:
    """The engine's request for a task, without a deadline."""
    at = len(task.prefix)
    hole = Hole(prefix=task.prefix, suffix=task.suffix, language="python", replaced=(at, at), multiline=False)
    return CompletionRequest(hole=hole, path=task.path, budget_ms=None, policy=policy)


def by_policy(infiller: DenoisingInfiller, policy: PolicyName) -> Decoder:
    """The denoiser with one of its unmask policies."""

    def decode(task: Task) -> Answer:
        completion = infiller.complete(request_of(task, policy), never)
        timings = completion.timings_ms
        return Answer(completion.text, completion.steps, completion.confidence, timings["denoise"])

    return decode


def causal(infiller: DenoisingInfiller) -> Decoder:
    """The same weights as a language model, left to right and greedy, until the line or the text ends."""

    def decode(task: Task) -> Answer:
        with torch.inference_mode():
            return _decode_causally(infiller, task)

    return decode


def _decode_causally(infiller: DenoisingInfiller, task: Task) -> Answer:
    model, tokenizer, tokens = infiller.model, infiller.tokenizer, infiller.line_tokens
    context = infiller.layout.context(request_of(task, "one"), infiller.n_context_max)
    hidden, states = model.context(torch.tensor([context]))
    answer: list[int] = []
    log_prob = 0.0
    for _ in range(N_TOKENS_LINE):
        log_probs = model.log_probs(hidden[:, -1:], states)[0, 0].masked_fill(tokens.forbidden, float("-inf"))
        token = int(log_probs.argmax())
        log_prob += float(log_probs[token])
        if bool(tokens.stops[token]):
            if token != tokens.end:
                answer.append(token)
            break
        answer.append(token)
        hidden, states = model.context(torch.tensor([[token]]), states)
    return Answer(tokenizer.decode(answer), len(answer) + 1, min(1.0, torch.tensor(log_prob).exp().item()))


def decoders(infiller: DenoisingInfiller) -> dict[str, Decoder]:
    """Floors, the causal head and the denoiser's policies, by the names that reports use."""
    return {
        "floor: empty": lambda task: Answer(floors.empty(task.prefix, task.suffix)),
        "floor: previous line": lambda task: Answer(floors.previous_line(task.prefix, task.suffix)),
        "floor: longest match in the file": lambda task: Answer(floors.longest_match(task.prefix, task.suffix)),
        "causal head, left to right": causal(infiller),
        "denoiser, one": by_policy(infiller, "one"),
        "denoiser, threshold": by_policy(infiller, "threshold"),
        "denoiser, top-k": by_policy(infiller, "top-k"),
        "denoiser, all": by_policy(infiller, "all"),
    }


def evaluate(infiller: DenoisingInfiller, tasks: list[Task]) -> list[Score]:
    """The score of every decoder over the same tasks."""
    named = decoders(infiller)
    scores = {name: Score(name) for name in named}
    for task in track(tasks, description="holes", console=Console(stderr=True)):
        for name, decoder in named.items():
            scores[name].add(decoder(task), task.truth)
    return list(scores.values())


def show(scores: list[Score], model: str) -> Table:
    """The report as a table."""
    table = Table(title=f"{model}: rest-of-line holes in held-out packages")
    for column in ("decoder", "exact match", "edit similarity", "mean steps", "exact in surer half"):
        table.add_column(column, justify="left" if column == "decoder" else "right")
    for score in scores:
        row = score.row()
        table.add_row(
            score.name,
            f"{row['exact_match']:.1%}",
            f"{row['edit_similarity']:.1%}",
            str(row["mean_steps"]),
            f"{row['precision_at_half']:.1%}",
        )
    return table


def main(argv: list[str]) -> int:
    """Run the evaluation. Raises InputError without a corpus, CheckpointError without a model."""
    parser = Parser(prog="quicksilver eval", description="Measure a checkpoint on unseen code.")
    parser.add_argument("what", choices=("heldout",))
    parser.add_argument("--model", type=Path, default=None, help="checkpoint folder (default: the embedded model)")
    parser.add_argument("--corpus", type=Path, default=Path("runs/corpus"), help="made by `quicksilver train corpus`")
    parser.add_argument("--holes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers to this file")
    arguments = parser.parse_args(argv)
    if arguments.holes < 1:
        raise InputError("--holes must be at least 1")
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise InputError(f"there is no folder {arguments.json.parent} to write to")
    infiller = load_infiller(arguments.model)
    documents = corpus.read(arguments.corpus, "heldout")
    tasks = list(rest_of_line_tasks(documents, arguments.holes, arguments.seed))
    scores = evaluate(infiller, tasks)
    Console().print(show(scores, infiller.name))
    if arguments.json:
        result = {
            "date": date.today().isoformat(), "machine": platform.machine(), "model": dict(infiller.describe()),
            "seed": arguments.seed, "scores": [score.row() for score in scores],
            "packages": sorted({task.package for task in tasks}), "example": asdict(tasks[0])["path"],
        }  # fmt: skip
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0
