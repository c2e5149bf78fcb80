"""report.md: what a corpus holds, by package and by licence, and what was dropped or replaced, for a person to read."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .corpus import SPLITS, CorpusReport, TextOrigin


def corpus_report(report: CorpusReport) -> str:
    """The report as Markdown. Token counts are estimates, and absent where none were made."""
    tokens = (
        f"Tokens are estimated from samples of every package with {report.tokens_estimated_with}.\n"
        if report.tokens_estimated_with
        else "Tokens were not counted: there was no tokenizer.\n"
    )
    against = ", ".join(report.decontaminated) or "none"
    return "\n".join(
        (
            "# Training corpus",
            "",
            tokens,
            _table(("split", "packages", "files", "characters", "tokens"), _by_split(report.sources)),
            "## Licences",
            "",
            _table(("licence", "packages", "files", "characters", "tokens"), _by_licence(report.sources)),
            "## Dropped",
            "",
            f"Evaluation files compared with: {against}.",
            "",
            _table(("reason", "files or packages"), _counts(report.drops)),
            "## Replaced",
            "",
            _table(("kind", "times"), _counts(report.scrubs)),
            "## Packages",
            "",
            *(_packages(report.sources, split) for split in ("heldout", "valid", "train")),
        )
    )


def _by_split(sources: Iterable[TextOrigin]) -> list[tuple[str, ...]]:
    return [(split, *_sums([s for s in sources if s.split == split])) for split in SPLITS]


def _by_licence(sources: Sequence[TextOrigin]) -> list[tuple[str, ...]]:
    n_chars: Counter[str] = Counter()
    for source in sources:
        n_chars[source.licence] += source.n_chars
    return [(licence, *_sums([s for s in sources if s.licence == licence])) for licence, _ in n_chars.most_common()]


def _sums(sources: Sequence[TextOrigin]) -> tuple[str, ...]:
    n_files, n_chars = sum(s.n_files for s in sources), sum(s.n_chars for s in sources)
    return f"{len(sources):,}", f"{n_files:,}", f"{n_chars:,}", _tokens(sources)


def _tokens(sources: Sequence[TextOrigin]) -> str:
    known = [s.n_tokens for s in sources if s.n_tokens is not None]
    return f"{sum(known):,}" if len(known) == len(sources) else ""


def _counts(counts: Counter[str]) -> list[tuple[str, ...]]:
    return [(name, f"{n:,}") for name, n in counts.most_common()]


def _packages(sources: Iterable[TextOrigin], split: str) -> str:
    rows = [
        (s.name, s.version, s.licence, f"{s.n_files:,}", f"{s.n_chars:,}", _tokens([s]))
        for s in sorted(sources, key=lambda s: -s.n_chars)
        if s.split == split
    ]
    return f"### {split}\n\n" + _table(("package", "version", "licence", "files", "characters", "tokens"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows)) + "\n"
