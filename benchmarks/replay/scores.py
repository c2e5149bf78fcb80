"""What a replay is worth: every number of its report, from the runs of its blocks.

Owns the metrics; knows no server and no picture. Shares are in [0, 1], times in milliseconds. Characters count without
indentation (see `blocks`); a text counts as shown once it was visible for 250 ms.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from ...fim.text.line_scan import scan_line
from ..machine import percentile
from ..quality.scores import similarity
from .blocks import TypedBlock
from .languages import has_tabs, indent_step, parses, width_of
from .offers import Late, OfferReply
from .run import BlockRun, ShownText
from .typist import FLICKER_MS

SHOWN_MS, SEEN_MS = 250.0, 750.0
PROMISES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)
N_RESAMPLES = 2000


def score(runs: Sequence[BlockRun]) -> dict[str, Any]:
    """All metrics of one variant over its blocks."""
    shown = [(run.block, each) for run in runs for each in run.shown if each.visible_ms >= SHOWN_MS]
    seen = [each for _, each in shown if each.visible_ms >= SEEN_MS]
    return {
        "blocks": len(runs),
        "characters": sum(run.block.weights[-1] for run in runs),
        "characters_saved": ratio(runs, chars_saved, chars_typed),
        "keys_saved": 1 - ratio(runs, lambda run: run.n_presses, plain_presses),
        "time_saved": 1 - ratio(runs, lambda run: run.total_ms, lambda run: run.plain_ms),
        "wrong_per_1000": 1000 * ratio(runs, wrong_shown, chars_typed),
        "shown": len(shown),
        "accepted_of_shown": _share(each.n_accepted > 0 for _, each in shown),
        "accepted_of_seen": _share(each.n_accepted > 0 for each in seen),
        "exact": _share(each.is_right for _, each in shown),
        **texts([each for run in runs for each in run.shown]),
        "edit_similarity": _mean([_similarity(block, each) for block, each in shown]),
        **_faults(shown),
        **_latencies(runs),
        "sources": _sources(runs),
        "causes": dict(Counter(each.cause for run in runs for each in run.answers if isinstance(each, OfferReply))),
    }


def texts(shown: Sequence[ShownText]) -> dict[str, Any]:
    """What came up on the screen, however briefly: how many texts, how many right, how many flickers."""
    steady = [each for each in shown if each.visible_ms >= FLICKER_MS]
    right = [len(each.text) for each in shown if each.is_right]
    return {
        "texts": len(shown),
        "texts_right": _share(each.is_right for each in shown),
        "steady": len(steady),
        "steady_right": _share(each.is_right for each in steady),
        "flickers": sum(each.flickers for each in shown),
        "longest_right": max(right, default=0),
        "lines_right": sum(each.is_right and "\n" in each.text.strip() for each in shown),
    }


def chars_saved(run: BlockRun) -> float:
    """The characters that completions wrote and that stayed."""
    return run.n_chars_saved


def chars_typed(run: BlockRun) -> float:
    """The characters that there were to write."""
    return run.block.weights[-1]


def plain_presses(run: BlockRun) -> float:
    """The keys that it takes without help."""
    return run.block.n_presses(0, len(run.block.target))


def wrong_shown(run: BlockRun) -> float:
    """The wrong characters of all texts that were visible long enough to be seen."""
    return sum(len(each.text) - each.n_right for each in run.shown if each.visible_ms >= SHOWN_MS)


def n_steady(run: BlockRun) -> float:
    """The texts that were on show for longer than a flicker."""
    return sum(each.visible_ms >= FLICKER_MS for each in run.shown)


def n_steady_right(run: BlockRun) -> float:
    """Those of them that were right to the end."""
    return sum(each.visible_ms >= FLICKER_MS and each.is_right for each in run.shown)


def n_flickers(run: BlockRun) -> float:
    """The texts that were gone before anybody could read them."""
    return sum(each.flickers for each in run.shown)


def ratio(runs: Iterable[BlockRun], above: Callable[[BlockRun], float], below: Callable[[BlockRun], float]) -> float:
    """A ratio of sums."""
    pairs = [(above(run), below(run)) for run in runs]
    return sum(a for a, _ in pairs) / max(1e-9, sum(b for _, b in pairs))


def difference(
    runs: Sequence[BlockRun],
    base: Sequence[BlockRun],
    above: Callable[[BlockRun], float],
    below: Callable[[BlockRun], float],
) -> tuple[float, float, float]:
    """By how much a ratio of runs is above that of base, and its 95 % interval: a paired bootstrap over files."""
    rows = {}
    for sign, each in ((0, runs), (1, base)):
        for run in each:
            row = rows.setdefault((run.block.root, run.block.path), np.zeros(4))
            row[2 * sign : 2 * sign + 2] += (above(run), below(run))
    table = np.array(list(rows.values()))  # [F, 4]
    chance = np.random.default_rng(1)
    drawn = chance.integers(0, len(table), (N_RESAMPLES, len(table)))
    sums = table[drawn].sum(axis=1)  # [R, 4]
    sums[:, 1::2] = np.maximum(sums[:, 1::2], 1e-9)
    apart = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
    whole = table.sum(axis=0)
    whole[1::2] = np.maximum(whole[1::2], 1e-9)
    low, high = np.percentile(apart, (2.5, 97.5))
    return float(whole[0] / whole[1] - whole[2] / whole[3]), float(low), float(high)


def risk_coverage(runs: Iterable[BlockRun]) -> list[tuple[float, float]]:
    """(share of questions answered with a text, share of these texts not entirely right), the surest first."""
    answers: list[tuple[float, bool]] = []
    n_asked = 0
    for run in runs:
        n_asked += len(run.answers)
        answers += [(each.confidence or 0.0, each.is_right) for each in run.shown]
    answers.sort(key=lambda pair: -pair[0])
    points, n_wrong = [], 0
    for i, (_, is_right) in enumerate(answers, 1):
        n_wrong += not is_right
        points.append((i / max(1, n_asked), n_wrong / i))
    return points


def reliability(runs: Iterable[BlockRun]) -> list[dict[str, float]]:
    """What texts on the screen promised and how many kept it, by promised probability: bins of PROMISES with texts."""
    shown = [each for run in runs for each in run.shown if each.confidence is not None]
    bins = []
    for low, high in pairwise(PROMISES):
        inside = [each for each in shown if low <= (each.confidence or 0.0) < high]
        if inside:
            promised = sum(each.confidence or 0.0 for each in inside) / len(inside)
            kept = sum(each.is_right for each in inside) / len(inside)
            bins.append({"from": low, "texts": len(inside), "promised": round(promised, 3), "right": round(kept, 3)})
    return bins


def _latencies(runs: Sequence[BlockRun]) -> dict[str, Any]:
    answers = [each for run in runs for each in run.answers]
    came = [each for each in answers if isinstance(each, OfferReply)]
    late = [each for each in answers if isinstance(each, Late)]
    n_steps = sum(each.n_steps for each in answers)
    unseen = sum(each.n_steps for each in late) + sum(each.n_steps for each in came if not each.text)
    visible = [each.latency_ms for each in came if each.text]
    return {
        "questions": len(answers),
        "cancelled": len(late),
        "stale": sum(each.cause in ("stale", "superseded") for each in came),
        "reused": sum(each.is_reused for each in came),
        "forwards": n_steps,
        "forwards_unseen": unseen / max(1, n_steps),
        "answer_ms": _percentiles([each.latency_ms for each in came]),
        "visible_ms": _percentiles(visible),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {name: round(percentile(values, share), 1) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def _sources(runs: Iterable[BlockRun]) -> dict[str, float]:
    """The share of accepted characters by where they came from."""
    counted: Counter[str] = Counter()
    for run in runs:
        for each in run.shown:
            counted[each.source or "editor"] += each.n_accepted
    total = sum(counted.values())
    return {source: round(n / total, 4) for source, n in counted.most_common() if n}


def _similarity(block: TypedBlock, each: ShownText) -> float | None:
    return similarity(each.text, block.target[each.at : each.at + len(each.text)])


def _faults(shown: Sequence[tuple[TypedBlock, ShownText]]) -> Mapping[str, float | None]:
    """The share of shown texts with which the file, the block's rest in place, does not parse; and so on."""
    return {
        "parse_errors": _share(not _fits(block, each.at, each.text) for block, each in shown),
        "bracket_errors": _share(_unbalances(block, each) for block, each in shown),
        "indent_errors": _share(_indents_oddly(block, each.text) for block, each in shown),
        "duplications": _share(_duplicates(block, each) for block, each in shown),
    }


@lru_cache(maxsize=100_000)
def _fits(block: TypedBlock, at: int, text: str) -> bool:
    """Whether the file parses with the text in place of as many lines of the block as it has."""
    rest = block.target[at:].split("\n")
    n_lines = text.count("\n") + 1
    after = "".join("\n" + line for line in rest[n_lines:])
    return parses(block.prefix + block.target[:at] + text + after + block.suffix, block.language)


def _unbalances(block: TypedBlock, each: ShownText) -> bool | None:
    """Whether the cursor's line, with a text of one line, has more open ends than what was to stand there.

    None where it cannot be told: single lines are read in Python only.
    """
    if block.language != "python":
        return None
    if "\n" in each.text:
        return False
    left = (block.prefix + block.target[: each.at]).rsplit("\n", 1)[-1]
    truth = block.target[each.at :].split("\n", 1)[0]
    return scan_line(left + each.text).n_open_ends > scan_line(left + truth).n_open_ends


def _indents_oddly(block: TypedBlock, text: str) -> bool:
    """Whether a line after the first is indented by no multiple of the file's step, or not with what the file uses."""
    step, stranger = _indent_style(block.text, block.language)
    lines = [line for line in text.split("\n")[1:] if line.strip() and not line.lstrip().startswith("*")]
    indents = [line[: width_of(line)] for line in lines]
    return any(stranger in indent or len(indent) % step for indent in indents)


@lru_cache(maxsize=64)
def _indent_style(text: str, language: str) -> tuple[int, str]:
    """The characters of one level, and the character that the file's indentation lacks."""
    if language != "python":
        return indent_step(text), " " if has_tabs(text) else "\t"
    return min((n for line in text.split("\n") if line.strip() and (n := width_of(line))), default=4), "\t"


def _duplicates(block: TypedBlock, each: ShownText) -> bool:
    """Whether the text's last whole line stands right below the block already."""
    lines = [line.strip() for line in each.text.split("\n") if line.strip()]
    below = next((line.strip() for line in block.suffix.split("\n")[1:] if line.strip()), "")
    return len(lines) > 1 and len(below) > 2 and lines[-1] == below


def _share(values: Iterable[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
