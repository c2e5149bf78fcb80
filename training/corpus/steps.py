"""The steps of `quicksilver train` that make data: corpus and shards.

Owns their options, their progress bars and what they print. The work itself is done elsewhere.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, TypeVar

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ...fim.text.printable import printable
from ..interrupts import remembering_interrupt
from ..options import FolderOptions, SizeOptions
from ..progress import counting
from . import corpus, sources
from .decontamination import contamination
from .report import corpus_report

T = TypeVar("T")
PACKAGES = Path(__file__).with_name("packages.txt")
OURSELVES = frozenset({"quicksilver-lsp"})
NANO_TOKENIZER = Path(__file__).parents[2] / "model" / "checkpoints" / "nano" / "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class CorpusOptions(FolderOptions):
    """What `quicksilver train corpus` was asked."""

    packages: Annotated[Path, Option("pinned packages to fetch with pip")] = PACKAGES
    from_environment: Annotated[bool, Option("also read the installed distributions")] = False
    no_download: Annotated[bool, Option("use the wheels that are already there")] = False
    decontaminate: Annotated[
        tuple[Path, ...],
        Option(
            "drop training documents that share 13 words in a row with these tasks (text, JSONL, either with .gz)",
            metavar="FILE",
        ),
    ] = ()
    processes: Annotated[int, Option("packages read at a time", least=1)] = field(
        default_factory=lambda: os.cpu_count() or 1
    )


def make_corpus(options: CorpusOptions) -> None:
    """Collect, filter, split and write the corpus; print what went in and what did not."""
    wheels = options.folder / "wheels"
    runs = contamination(options.decontaminate)  # a wrong file name shows before the download
    if not options.no_download:
        sources.download(options.packages, wheels)
    pinned = sources.pins(options.packages)
    found = sources.archives(wheels, pinned)
    installed = sources.installed_distributions(OURSELVES) if options.from_environment else ()
    origins = corpus.in_order(chain([sources.standard_library()], sources.origins(found), installed))
    report = corpus.CorpusReport(
        from_environment=options.from_environment, decontaminated=[_signed(path) for path in options.decontaminate]
    )
    report.drops.update(
        f"package {name}: its archive is not in {wheels.name}/" for name in sorted(pinned.keys() - found)
    )
    with counting("examining packages", len(origins)) as advance, remembering_interrupt() as interrupted:
        finish = partial(_finished, tokenizer_file=NANO_TOKENIZER, interrupted=interrupted)
        examined = _counted(corpus.examine_packages(origins, runs, options.processes), advance)
        corpus.write(corpus.collect(examined, report), report, options.folder / "corpus", finish)
    print(printable(corpus_report(report), keep_newlines=True))  # licences and names are their packages' words
    for split in corpus.SPLITS:
        if not any(source.split == split for source in report.sources):
            print(
                f"The {split} split is empty: none of its packages was found. Fetch the pinned ones for a full corpus."
            )


def make_shards(options: SizeOptions, tokenizer_file: Path) -> None:
    """Write the corpus as token shards of a size's tokenizer; print how large they are."""
    from . import shards

    folder = shards_path(options.folder, options.size)
    if not tokenizer_file.is_file():
        size = options.size
        raise InputError(f"no tokenizer at {tokenizer_file}: run `quicksilver train tokenizer --size {size}` first")
    splits: dict[corpus.Split, list[corpus.CorpusDocument]] = {
        split: corpus.read(options.folder / "corpus", split) for split in corpus.SPLITS
    }
    for documents in splits.values():
        documents.sort(key=lambda d: (d.package, d.path))  # neighbours resemble each other, which LZMA likes
    with counting("tokenising characters", sum(len(d.text) for ds in splits.values() for d in ds)) as advance:
        written = shards.write(folder, splits, tokenizer_file, advance)
    for split in splits:
        own = [shard for shard in written if shard.split == split]
        n_tokens, n_bytes = sum(s.n_tokens for s in own), sum(s.n_bytes for s in own)
        n_chars = sum(len(d.text) for d in splits[split])
        print(
            f"{split}: {len(own)} shards, {sum(s.n_documents for s in own):,} documents, {n_tokens:,} tokens, "
            f"{n_chars:,} characters, {n_bytes / 1e6:.1f} MB, {8 * n_bytes / max(n_tokens, 1):.2f} bits a token"
        )
    print(f"wrote {folder}: {sum(path.stat().st_size for path in folder.iterdir()) / 2**20:.1f} MiB in all")


def shards_path(folder: Path, size: str) -> Path:
    """Where the token shards of a size lie."""
    return folder / f"shards-{size}"


def _finished(report: corpus.CorpusReport, tokenizer_file: Path, interrupted: threading.Event) -> str:
    """Estimate tokens if there is a tokenizer, then write the report; the last place where an interrupt counts."""
    if interrupted.is_set():
        raise KeyboardInterrupt
    from ...model.tokenizers.code_tokenizer import CodeTokenizer

    if tokenizer_file.is_file():
        tokenizer = CodeTokenizer.load(tokenizer_file)
        name = f"the tokenizer of checkpoint {tokenizer_file.parent.name} ({tokenizer.vocab_size:,} ids)"
        report.estimate_tokens(lambda texts: sum(map(len, tokenizer.encode_batch(texts))), name)
    return corpus_report(report)


def _signed(path: Path) -> str:
    return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()})"


def _counted(items: Iterator[T] | Sequence[T], advance: Callable[[int], None]) -> Iterator[T]:
    for item in items:
        yield item
        advance(1)
