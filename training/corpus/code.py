"""`quicksilver train code`: permissively licensed source in many languages, beside the Python of `train corpus`.

Owns the folder code/ of a training folder: train.jsonl.gz, in the form that `corpus.read` reads, and manifest.json.
"""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ..options import FolderOptions
from ..progress import counting
from .code_filters import language_of, reason_to_drop
from .code_packages import fetch, origins, read_pins
from .corpus import HELD_OUT, CorpusDocument, replacing
from .near_duplicates import NearDuplicates, signature
from .package import normalise
from .scrub import scrub
from .sources import Origin, Refused
from .word_hashes import word_hashes

PACKAGES = Path(__file__).with_name("code_packages.txt")
N_CHARS_PER_PACKAGE = 500_000  # of one language: more packages are worth more than more of one


@dataclass(frozen=True, kw_only=True)
class CodeOptions(FolderOptions):
    """What `quicksilver train code` was asked."""

    packages: Annotated[Path, Option("pinned packages of npm and Debian")] = PACKAGES


def make_code(options: CodeOptions) -> None:
    """Fetch, filter and write; print what went in."""
    archives = options.folder / "archives"
    pins = read_pins(options.packages)
    both = sorted({pin.name for pin in pins} & HELD_OUT)
    if both:
        raise InputError(f"{both[0]} is held out: take it off {options.packages}")
    with counting("fetching packages", len(pins)) as advance:
        found = fetch(pins, archives, advance)
    missing = [f"{pin.registry} {pin.name}" for pin in pins if pin not in found]
    collection = Collection()
    folder = options.folder / "code"
    with counting("reading packages", len(found)) as advance, replacing(folder, ["*.gz", "manifest.json"]) as part:
        with gzip.open(part / "train.jsonl.gz", "wt", 6, encoding="utf-8") as stream:
            for origin in origins(found):
                for document in collection.documents(origin):
                    stream.write(json.dumps(asdict(document)) + "\n")
                advance(1)
        if not collection.sources:
            raise InputError("no permissively licensed source was found: nothing to train on")
        manifest = {"sources": collection.sources, "drops": dict(collection.drops.most_common()), "missing": missing}
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(_table(collection, missing))


class Collection:
    """Documents of one package after another, without copies; what was kept of each, and what was dropped."""

    def __init__(self) -> None:
        self.sources: list[dict[str, Any]] = []
        self.drops: Counter[str] = Counter()
        self.n_chars: Counter[str] = Counter()
        self._near = NearDuplicates()
        self._fingerprints: set[bytes] = set()

    def documents(self, origin: Origin) -> Iterator[CorpusDocument]:
        """What a package adds."""
        package = origin.read()
        if isinstance(package, Refused):
            self.drops[f"package {package.name}: {package.reason}"] += 1
            return
        kept: Counter[str] = Counter()
        for path in sorted(package.files, key=lambda path: hashlib.sha256(path.encode()).digest()):
            raw = package.files[path]
            language, reason = language_of(path, raw) or "", reason_to_drop(path, raw)
            if reason is None and kept[language] > N_CHARS_PER_PACKAGE:
                reason = "over the cap of its package"
            text = "" if reason else scrub(normalise(raw))[0]
            reason = reason or self._reason_in_company(f"{package.name}/{path}", text)
            if reason is not None:
                self.drops[reason] += 1
                continue
            kept[language] += len(text)
            yield CorpusDocument(package.name, path, text)
        self.n_chars.update(kept)
        if kept:
            own = {"name": package.name, "version": package.version, "licence": package.licence}
            self.sources.append({**own, "sha256": package.sha256, "chars": dict(kept)})

    def _reason_in_company(self, name: str, text: str) -> str | None:
        """Why a file does not enter a corpus that holds the others; None remembers it as kept."""
        fingerprint = hashlib.sha256("".join(text.split()).encode()).digest()
        sketch = signature(word_hashes(text))
        if fingerprint in self._fingerprints:
            return "exact duplicate"
        if not self._near.is_new(sketch):
            return "near duplicate"
        self._fingerprints.add(fingerprint)
        self._near.keep(name, sketch)
        return None


def _table(collection: Collection, missing: Sequence[str]) -> str:
    rows = [f"{language}: {n:,} characters" for language, n in collection.n_chars.most_common()]
    drops = ", ".join(f"{n:,} {reason}" for reason, n in collection.drops.most_common())
    return "\n".join([*rows, f"left out: {drops}", f"not available: {', '.join(missing) or 'none'}"])
