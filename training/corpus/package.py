"""One package: read, filtered, normalised, scrubbed and signed, so that packages can be processed in parallel.

Duplicates and caps depend on other packages: corpus.py handles them.
"""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from .decontamination import is_contaminated
from .filters import reason_to_drop
from .near_duplicates import Sketch, signature
from .scrub import scrub
from .sources import Origin, Package, Refused
from .word_hashes import word_hashes


@dataclass(frozen=True)
class CandidateFile:
    """A file that passed on its own: path, text, a fingerprint blind to white space, and its MinHash or None."""

    path: str
    text: str
    fingerprint: bytes
    sketch: Sketch | None


@dataclass
class Examined:
    """A package without its files, the candidates among them in an order of chance, and what was done to the rest."""

    package: Package | Refused
    candidates: list[CandidateFile] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    scrubs: Counter[str] = field(default_factory=Counter)


def examine(origin: Origin, runs: np.ndarray) -> Examined:
    """Read a package and examine its files. runs: hashes of the test tasks' 13-word runs, uint64, sorted.

    Raises InputError when an archive is damaged.
    """
    package = origin.read()
    if isinstance(package, Refused):
        return Examined(package)
    examined = Examined(replace(package, files={}))
    order = sorted(package.files)
    random.Random(package.name).shuffle(order)  # so that a cap takes a fair sample
    for path in order:
        reason = reason_to_drop(path, package.files[path])
        if reason is not None:
            examined.drops[reason] += 1
            continue
        text, counts = scrub(normalise(package.files[path]))
        words = word_hashes(text)
        if is_contaminated(words, runs):
            examined.drops["shares 13 words in a row with an evaluation file"] += 1
            continue
        examined.scrubs.update(counts)
        fingerprint = hashlib.sha256("".join(text.split()).encode()).digest()
        examined.candidates.append(CandidateFile(path, text, fingerprint, signature(words)))
    return examined


def normalise(raw: bytes) -> str:
    """The text of a UTF-8 file: no byte order mark, line feeds for line ends."""
    return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
