"""The training corpus: permissively licensed Python source, with the origin of every byte.

Packages are examined in parallel. Then, one after another, they are freed of exact and near copies, capped, and split
*by package* into train, valid and heldout. Held-out packages come first, so that a copy always leaves the training
split.
"""

import gzip
import json
import multiprocessing
import shutil
import signal
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ...fim.errors import InputError
from ..interrupts import held_back
from .heldout_packages import held_out_names
from .near_duplicates import NearDuplicates
from .package import CandidateFile, Examined, examine
from .sources import Origin, Package, Refused, canonical

Split = Literal["train", "valid", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "valid", "heldout")

# Large packages repeat themselves: more packages are worth more than more of one.
N_CHARS_PER_PACKAGE = 8_000_000
N_SAMPLE_CHARS = 200_000  # per package, to estimate its tokens from
# Chosen for variety and because none of their siblings or forks is in the training list (setuptools, whose distutils
# also lies in the standard library, or httpx2, a fork of httpx, would leak).
HELD_OUT = frozenset({"astropy", "contourpy", "distributed", "h11", "pillow", "pydantic", "pyproject-hooks", "textual"})
VALID = frozenset({"anyio", "iniconfig", "packaging", "werkzeug"})
NO_EVALUATION_FILES = np.empty(0, dtype=np.uint64)


@dataclass(kw_only=True)
class TextOrigin:
    """One package as it entered the corpus. n_tokens is estimated from a sample, or None."""

    name: str
    version: str
    licence: str
    sha256: str
    split: Split
    n_files: int = 0
    n_chars: int = 0
    n_tokens: int | None = None


@dataclass(frozen=True)
class CorpusDocument:
    """One source file: package, path inside it, text."""

    package: str
    path: str
    text: str


@dataclass
class CorpusReport:
    """What was kept and what was dropped or replaced, with reasons, and what the corpus was made from."""

    from_environment: bool = False
    decontaminated: list[str] = field(default_factory=list)
    tokens_estimated_with: str | None = None
    sources: list[TextOrigin] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    scrubs: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)

    def estimate_tokens(self, count: Callable[[Sequence[str]], int], tokenizer: str) -> None:
        """Fill in every source's n_tokens from its sample; tokenizer says which one count uses."""
        self.tokens_estimated_with = tokenizer
        for source in self.sources:
            sample = self.samples[source.name]
            source.n_tokens = round(source.n_chars * count(sample) / sum(map(len, sample)))


def split_of(name: str) -> Split:
    """The split of a package. Fixed by name, so that it never changes; whatever is not listed is for training."""
    name = canonical(name)
    return "heldout" if name in HELD_OUT or name in held_out_names() else "valid" if name in VALID else "train"


def in_order(origins: Iterable[Origin]) -> list[Origin]:
    """Every package once (the first origin counts), held-out ones first, then valid, then those for training."""
    first: dict[str, Origin] = {}
    for origin in origins:
        first.setdefault(origin.name, origin)
    rank = ("heldout", "valid", "train")
    return sorted(first.values(), key=lambda origin: rank.index(split_of(origin.name)))  # stable


def examine_packages(
    origins: Sequence[Origin], runs: np.ndarray = NO_EVALUATION_FILES, n_processes: int = 1
) -> Iterator[Examined]:
    """Examine packages in their order, several at a time. runs: see contamination; it counts for training packages.

    Raises InputError when an archive is damaged or a process dies.
    """
    jobs = [(origin, runs if split_of(origin.name) == "train" else NO_EVALUATION_FILES) for origin in origins]
    if n_processes == 1:
        for job in jobs:
            yield examine(*job)
        return
    ignore_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)  # ours alone ends the run
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_processes, mp_context=context, initializer=ignore_interrupts)
    try:
        with held_back():  # the processes start here
            results = pool.map(examine, *zip(*jobs, strict=True))
        yield from results
    except BrokenProcessPool:
        raise InputError("a process of the build died, most likely for want of memory: try --processes 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def collect(packages: Iterable[Examined], report: CorpusReport) -> Iterator[CorpusDocument]:
    """Documents of all packages after de-duplication and caps; fills report. Packages come in_order."""
    fingerprints: set[bytes] = set()
    near: dict[Split, NearDuplicates] = {split: NearDuplicates() for split in SPLITS}
    for each in packages:
        package = each.package
        if isinstance(package, Refused):
            report.drops[f"package {package.name}: {package.reason}"] += 1
            continue
        report.drops.update(each.drops)
        report.scrubs.update(each.scrubs)
        source = _source(package)
        sample = report.samples.setdefault(source.name, [])
        for candidate in each.candidates:
            reason = _reason_in_company(candidate, source, fingerprints, near)
            if reason is not None:
                report.drops[reason] += 1
                continue
            source.n_files += 1
            source.n_chars += len(candidate.text)
            if source.n_chars <= N_SAMPLE_CHARS or not sample:
                sample.append(candidate.text)
            yield CorpusDocument(source.name, candidate.path, candidate.text)
        if source.n_files:
            report.sources.append(source)


def _source(package: Package) -> TextOrigin:
    return TextOrigin(
        name=package.name,
        version=package.version,
        licence=package.licence,
        sha256=package.sha256,
        split=split_of(package.name),
    )


def _reason_in_company(
    candidate: CandidateFile, source: TextOrigin, fingerprints: set[bytes], near: dict[Split, NearDuplicates]
) -> str | None:
    """Why a file does not enter a corpus that holds the others; None remembers it as kept."""
    if candidate.fingerprint in fingerprints:
        return "exact duplicate"
    if source.n_chars + len(candidate.text) > N_CHARS_PER_PACKAGE:
        return "over the cap of its package"
    for split, index in near.items():
        if not index.is_new(candidate.sketch):
            return f"near duplicate of a document in {split}"
    fingerprints.add(candidate.fingerprint)
    near[source.split].keep(f"{source.name}/{candidate.path}", candidate.sketch)
    return None


def write(
    documents: Iterable[CorpusDocument],
    report: CorpusReport,
    folder: Path,
    finish: Callable[[CorpusReport], str] = lambda _: "",
) -> None:
    """Write {train,valid,heldout}.jsonl.gz, manifest.json and report.md, whole or not at all.

    finish is called when all documents were written: it may complete the report, and returns report.md. Raises
    InputError when there is nothing to train on, or folder holds files that are not ours.
    """
    with replacing(folder, [*(f"{split}.jsonl.gz" for split in SPLITS), "manifest.json", "report.md"]) as part:
        with ExitStack() as stack:
            streams = {
                split: stack.enter_context(gzip.open(part / f"{split}.jsonl.gz", "wt", 6, encoding="utf-8"))
                for split in SPLITS
            }
            for document in documents:
                streams[split_of(document.package)].write(json.dumps(asdict(document)) + "\n")
        if not any(source.split == "train" for source in report.sources):
            raise InputError("no permissively licensed source was found: nothing to train on")
        (part / "report.md").write_text(finish(report), encoding="utf-8")
        manifest = {
            "from_environment": report.from_environment,
            "decontaminated": report.decontaminated,
            "tokens_estimated_with": report.tokens_estimated_with,
            "sources": [asdict(source) for source in report.sources],
            "drops": dict(report.drops.most_common()),
            "scrubs": dict(report.scrubs.most_common()),
        }
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


@contextmanager
def replacing(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A new folder beside folder, which takes its place when the block ends well; else the old one stays.

    names: patterns of the files that the old folder may hold. Raises InputError when it holds others, or when the two
    folders that are used on the way, named like it with .part and .old, do.
    """
    part, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
    for place in (folder, part, old):
        foreign = [path for path in place.glob("*") if not any(path.match(name) for name in names)]
        if foreign:
            raise InputError(f"{place} is written anew and also holds {foreign[0].name}: move that somewhere else")
    shutil.rmtree(part, ignore_errors=True)  # of an earlier run that was killed
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise


def read(folder: Path, split: Split) -> list[CorpusDocument]:
    """The documents of one split. Raises InputError when the corpus is missing or damaged."""
    path = folder / f"{split}.jsonl.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return [CorpusDocument(**json.loads(line)) for line in stream]
    except FileNotFoundError:
        raise InputError(f"no corpus at {path}: run `quicksilver train corpus` first") from None
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise InputError(f"the corpus at {path} is damaged ({error}): build it again") from error
