"""MODEL_CARD.md, written from what was recorded: manifest, recipe, loss log, evaluation. No number is typed in."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..run.config import TrainConfig
from ..run.recipes import Recipe

LIMITS = """\
- Python only. Other languages share one untrained language token; the language server stays silent there unless asked.
- Small and little trained: it knows common idioms and copies names from the file well, and it invents the rest.
- Trained on at most {n_context:,} context tokens and canvases of {n_canvas}; longer answers go on block by block.
- The confidence of a ranked answer comes from a regression fitted on the validation packages, that of any other is the
  model's own probability for its whole text: the tables say how far off they are (ECE).
- Completions may repeat licensed source text from the packages below, as any language model's may.
"""


def model_card(
    recipe: Recipe,
    config: TrainConfig,
    manifest: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    hardware: str,
    averaged_from: Sequence[str] = (),
) -> str:
    """The card's text. evaluation is what `quicksilver eval heldout --json` wrote; averaged_from are the hashes of the
    weights that the checkpoint is the mean of, the run's own last, if it is one."""
    return "\n".join(
        (
            f"# quicksilver-{recipe.name}",
            "",
            _summary(recipe, evaluation),
            "## Results",
            "",
            _results(evaluation),
            "## Training",
            "",
            _training(recipe, config, log, hardware, "--from-environment " if manifest["from_environment"] else "")
            + _averaged(averaged_from),
            "## Data",
            "",
            _data(manifest),
            "## Limits",
            "",
            LIMITS.format(n_context=recipe.shape.n_context, n_canvas=recipe.shape.n_canvas),
        )
    )


def merge_evaluations(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Evaluations of one checkpoint, done part by part, as one. Raises ValueError when they do not belong together."""
    first = dict(evaluations[0])
    rows = {(s["kind"], s["decoder"]): s for each in evaluations for s in each["scores"]}
    for each in evaluations[1:]:
        for mine, other in ((first, each), (first["model"], each["model"])):
            different = [name for name in ("sha256", "dtype", "split", "seed") if mine.get(name) != other.get(name)]
            if different:
                raise ValueError(f"the evaluations differ in {', '.join(different)}")
    packages = sorted({package for each in evaluations for package in each["packages"]})
    return first | {"scores": list(rows.values()), "packages": packages}


def _summary(recipe: Recipe, evaluation: Mapping[str, Any]) -> str:
    model = evaluation["model"]
    shape = recipe.shape
    return (
        "A masked-diffusion denoiser for filling holes in Python code, with a causal head on the same weights and a "
        "copy head over the context: "
        f"{model['parameters']:,} parameters, {shape.n_layers} layers of width {shape.width}, {shape.n_heads} query "
        f"and {shape.n_kv_heads} key heads of {shape.head_size}, FFN {shape.ffn_width}, {shape.vocab_size:,} "
        f"token ids, context {shape.n_context:,}, canvas {shape.n_canvas}. "
        "Weights are int8 with a scale per row, Apache-2.0.\n\n"
        f"SHA-256 of the weights: `{model['sha256']}`.\n"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines) + "\n"


KINDS = {
    "rest-of-line": "the rest of a line from a random character of it",
    "whole-line": "a line from its indentation on",
    "random-span": "1 to 120 characters (log-uniform) from a random character of code, across lines if need be",
    "multi-line": "2 to 6 lines, from the start of a line or inside it",
    "block": "the body of a def, class, if, for, while or with, 2 to 12 lines",
}
HEADER = ("decoder", "exact match", "95 %", "first line", "edit similarity", "parses", "mean steps",
          "exact among the surer half", "ECE")  # fmt: skip


def _results(evaluation: Mapping[str, Any]) -> str:
    scores = evaluation["scores"]
    kinds = list(dict.fromkeys(s["kind"] for s in scores))
    split = {"heldout": "held-out", "valid": "validation"}[evaluation["split"]]
    parts = [
        f"{scores[0]['holes']} holes of each kind, spread evenly over the {len(evaluation['packages'])} {split} "
        f"packages ({', '.join(evaluation['packages'])}), seed {evaluation['seed']}, {model_dtype(evaluation)} "
        f"arithmetic on the CPU, {evaluation['date']}. Greedy; no editor rules. Floors need no model. Decoders are not "
        "told how long the truth is. Intervals: bootstrap over the holes of each package. Parses: share of the files "
        "that parsed before and do so with the answer. ECE: expected calibration error in 15 bins.\n",
    ]
    for kind in kinds:
        rows = [s for s in scores if s["kind"] == kind]
        parts += [f"### {kind}: {KINDS[kind]}\n", _table(HEADER, map(_row, rows)) + _against_floors(rows)]
    parts += [
        f"Again: `quicksilver eval heldout --split {evaluation['split']} --kinds {','.join(kinds)} --holes "
        f"{scores[0]['holes']} --seed {evaluation['seed']} --dtype {model_dtype(evaluation)}` (needs the corpus).\n"
    ]
    return "\n".join(parts)


def _row(score: Mapping[str, Any]) -> tuple[object, ...]:
    low, high = score["exact_match_95"]
    ece = score["ece"]
    return (
        score["decoder"], _percent(score["exact_match"]), f"{low:.1%} to {high:.1%}",
        _percent(score["first_line_match"]), _percent(score["edit_similarity"]), _percent(score["syntax_valid"]),
        score["mean_steps"], _percent(score["precision_at_50"]), "–" if ece is None else f"{ece:.3f}",
    )  # fmt: skip


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _against_floors(scores: Sequence[Mapping[str, Any]]) -> str:
    """One sentence on the best floor and the best decoder of the model; nothing where one of them is missing."""
    floors = [s for s in scores if s["family"] == "floor"]
    others = [s for s in scores if s["family"] != "floor"]
    if not floors or not others:
        return ""
    best_floor, best = (max(part, key=lambda s: s["exact_match"]) for part in (floors, others))
    beaten = best["exact_match"] > best_floor["exact_match"]
    verb = "beats" if beaten else "does **not** beat"
    return (
        f"\nThe model's best decoder ({best['decoder']}, {best['exact_match']:.1%}) {verb} the best floor "
        f"({best_floor['decoder'].removeprefix('floor: ')}, {best_floor['exact_match']:.1%}).\n"
    )


def model_dtype(evaluation: Mapping[str, Any]) -> str:
    """The number format the evaluation ran in."""
    return str(evaluation["model"]["dtype"])


def _training(
    recipe: Recipe, config: TrainConfig, log: Sequence[Mapping[str, Any]], hardware: str, corpus_option: str
) -> str:
    if not log:
        raise ValueError("the run's log is empty")
    last = log[-1]
    valid = next((e for e in reversed(log) if "valid_next" in e), None)
    validation = (
        f"On the valid split at step {valid['step']}: {valid['valid_next']} nats per context token and "
        f"{valid['valid_canvas']} nats per masked canvas token.\n\n"
        if valid
        else ""
    )
    settings = {**asdict(config), **{f"samples.{k}": v for k, v in asdict(recipe.samples).items() if k != "n_context"}}
    length = f"--minutes {config.minutes:g}" if config.steps is None else f"--steps {config.steps}"
    return (
        f"{last['step']:,} steps, {last['tokens']:,} context tokens, {last['s'] / 60:.0f} min on {hardware}. "
        "Muon on the blocks' matrices, AdamW on the rest, warmup-stable-decay; next-token loss on every context "
        "section plus masked diffusion on canvases, bf16 mixed precision.\n\n"
        f"{validation}"
        + _table(("setting", "value"), [(f"`{k}`", f"`{v}`") for k, v in settings.items()])
        + _begun_with(config)
        + f"\nAgain, from nothing: `quicksilver train corpus {corpus_option}&& quicksilver train tokenizer --size "
        f"{recipe.name} && quicksilver train run --size {recipe.name} --seed {config.seed} {length}`.\n"
    )


def _begun_with(config: TrainConfig) -> str:
    """What a reader must know who wants to repeat a run that did not begin with random weights."""
    if config.init_from is None:
        return ""
    return (
        f"\nThe run began with the weights whose SHA-256 is `{config.init_from}` (`--init-from`, in this repository's "
        "history): without them the command below makes another model.\n"
    )


def _averaged(averaged_from: Sequence[str]) -> str:
    """What a reader must know of weights that no run ended with."""
    if not averaged_from:
        return ""
    hashes = ", ".join(f"`{sha256}`" for sha256 in averaged_from)
    return (
        f"\nThese weights are the mean (`quicksilver train average`) of {len(averaged_from)} checkpoints, with the "
        f"SHA-256 {hashes}; the last one is this run's own.\n"
    )


def _filtered(manifest: Mapping[str, Any]) -> str:
    """What was left out or replaced, and what the corpus was kept free of."""
    drops, scrubs = manifest["drops"], manifest["scrubs"]
    words = ""
    if drops:
        words += "Dropped: " + ", ".join(f"{reason} {n:,}" for reason, n in drops.items()) + ". "
    if scrubs:
        words += "Replaced: " + ", ".join(f"{kind} {n:,}" for kind, n in scrubs.items()) + ". "
    tests = manifest["decontaminated"]
    return words + (f"Kept free of: {', '.join(tests)}. " if tests else "No evaluation set was held against it. ")


def _data(manifest: Mapping[str, Any]) -> str:
    sources = manifest["sources"]
    total = Counter[str]()
    for source in sources:
        total[source["split"]] += source["n_chars"]
    rows = [(s["name"], s["version"], s["licence"], s["split"], f"{s['n_chars']:,}") for s in sources]
    sums = ", ".join(f"{split} {n / 1e6:.1f}M" for split, n in total.most_common())
    return (
        "Python source of permissively licensed packages and the standard library, licences as their metadata state "
        f"them, split by package. Characters: {sums}. {_filtered(manifest)}The SHA-256 of every source is in "
        "`sources.json` beside this file.\n\n" + _table(("package", "version", "licence", "split", "characters"), rows)
    )
