"""The step `quicksilver train heldout`: fetch the held-out packages of 2026 and lay their source files out by language.

Owns the folder that is written: OUT/<language>/<package>/<path>, OUT/archives and OUT/manifest.json. Files that
resemble one another, or a document of a training corpus, are left out.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ..corpus import corpus, sources
from ..corpus.heldout_packages import LIST, SUFFIXES, HeldOutPackage, read_list
from ..corpus.near_duplicates import THRESHOLD, NearDuplicates, Sketch, signature
from ..corpus.steps import PACKAGES
from ..corpus.word_hashes import word_hashes
from ..options import FolderOptions
from ..progress import counting
from .fetch import fetch
from .files import HeldOutFiles, read_files

ARCHIVES, MANIFEST = "archives", "manifest.json"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class HeldOutStepOptions(FolderOptions):
    """What `quicksilver train heldout` was asked."""

    out: Annotated[Path, Option("folder to write, outside the checkout")]
    packages: Annotated[Path, Option("what is trained on: must name none of them")] = PACKAGES


def make_heldout(options: HeldOutStepOptions) -> None:
    """Fetch, verify, choose, compare with the training corpus, write; print what was kept."""
    out = options.out.absolute()
    check_out(out)
    packages = read_list(LIST)
    check_names(packages, options.packages)
    found: list[HeldOutFiles] = []
    with counting("fetching packages", len(packages)) as advance:
        for package in packages:
            found.append(read_files(package, fetch(package, out / ARCHIVES)))
            advance(1)
    compared = options.folder / "corpus"
    drop_copies(found)
    is_compared = (compared / "train.jsonl.gz").is_file()
    if is_compared:
        drop_trained(found, corpus.read(compared, "train"))
    write(found, out, compared.name if is_compared else None)
    print(_table(found))
    if not is_compared:
        print(f"There is no corpus in {compared}: only the names were compared with what models are trained on.")
    print(f"wrote {out}")


def check_out(out: Path) -> None:
    """Raises InputError unless out is outside this checkout, and empty or written by this step before."""
    if out.resolve().is_relative_to(CHECKOUT):
        raise InputError(f"--out must lie outside {CHECKOUT}: other people's sources are not part of it")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is no folder: name another one")
    ours = {*SUFFIXES, ARCHIVES, MANIFEST}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in ours) if out.exists() else []
    if foreign:
        raise InputError(f"{out} also holds {foreign[0]}: name a folder of its own")


def check_names(packages: Sequence[HeldOutPackage], training_list: Path) -> None:
    """Raises InputError when a held-out package is pinned for training."""
    both = sorted({package.name for package in packages} & sources.pins(training_list).keys())
    if both:
        raise InputError(f"{both[0]} is held out and pinned in {training_list}: take it off one of the lists")


def drop_copies(found: Sequence[HeldOutFiles]) -> None:
    """Of files that are nearly the same keep the first."""
    kept = NearDuplicates()
    for files in found:
        for key, text in list(files.texts.items()):
            sketch = signature(word_hashes(text))
            if kept.is_new(sketch):
                kept.keep("/".join((files.package.name, *key)), sketch)
            else:
                _drop(files, key, "near copy of another file")


def drop_trained(found: Sequence[HeldOutFiles], documents: Sequence[corpus.CorpusDocument]) -> None:
    """Leave out files that nearly are documents of a training corpus."""
    sketches = [(files, key, signature(word_hashes(text))) for files in found for key, text in files.texts.items()]
    index = NearDuplicates()
    for number, (_, _, sketch) in enumerate(sketches):
        index.keep(str(number), sketch)
    with counting("comparing training documents", len(documents)) as advance:
        for document in documents:
            sketch = signature(word_hashes(document.text))
            if not index.is_new(sketch):
                for files, key, own in sketches:
                    if key in files.texts and _resemble(own, sketch):
                        _drop(files, key, "near copy of a training document")
            advance(1)


def _resemble(one: Sketch | None, other: Sketch | None) -> bool:
    return one is not None and other is not None and one.jaccard(other) >= THRESHOLD


def _drop(files: HeldOutFiles, key: tuple[str, str], reason: str) -> None:
    del files.texts[key]
    files.drops[reason] += 1


def write(found: Sequence[HeldOutFiles], out: Path, compared_with: str | None) -> None:
    """Write the files and the manifest in place of those of an earlier run."""
    (out / MANIFEST).unlink(missing_ok=True)
    for language in SUFFIXES:
        shutil.rmtree(out / language, ignore_errors=True)
    for files in found:
        for (language, path), text in files.texts.items():
            target = out / language / files.package.name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="")
    manifest = {"compared_with": compared_with, "packages": [_entry(files) for files in found]}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _entry(files: HeldOutFiles) -> dict[str, Any]:
    package = files.package
    kept = {f"{language}/{package.name}/{path}": _digest(text) for (language, path), text in files.texts.items()}
    return {
        "name": package.name, "version": package.version, "sha256": package.sha256, "licence": package.licence,
        "first_release": package.first_release.isoformat(), "files": kept, "drops": dict(files.drops),
    }  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _table(found: Sequence[HeldOutFiles]) -> str:
    n_files, n_lines, names = Counter[str](), Counter[str](), dict[str, list[str]]()
    for files in found:
        for (language, _), text in files.texts.items():
            n_files[language] += 1
            n_lines[language] += text.count("\n")
            if files.package.name not in names.setdefault(language, []):
                names[language].append(files.package.name)
    rows = [f"{each}: {n_files[each]} files, {n_lines[each]:,} lines ({', '.join(names[each])})" for each in names]
    drops = sum((files.drops for files in found), Counter[str]())
    return "\n".join([*rows, "left out: " + ", ".join(f"{n} {reason}" for reason, n in drops.most_common())])
