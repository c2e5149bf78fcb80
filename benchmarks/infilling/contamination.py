"""Whether a model may have seen a benchmark's tasks: by what it was trained on, and by runs of 13 words.

`manifest_facts`: what the checkpoint says it was trained on. `shared_runs`: which tasks share 13 words in a row with
the training documents of a corpus, if one is given. With neither, the report says that tasks could not be checked.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...fim.errors import InputError
from ...training.corpus import corpus
from ...training.corpus.decontamination import N_WORDS
from ...training.corpus.word_hashes import ngram_hashes, word_hashes
from ..progress import progress
from .tasks import InfillTask

MANIFEST = "sources.json"
N_NAMED = 20


def manifest_facts(checkpoint: Path, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What sources.json in a checkpoint's folder tells: number of training packages, and which of the benchmark's files
    (hashes: SHA-256 by name) the corpus was kept free of. "manifest" is None if there is no such file."""
    found = _manifest(checkpoint / MANIFEST)
    if found is None:
        return {"manifest": None}
    kept_free = " ".join(map(str, found.get("decontaminated", [])))
    return {
        "manifest": MANIFEST,
        "training_packages": sum(source.get("split") == "train" for source in found["sources"]),
        "kept_free_of": [name for name, sha256 in hashes.items() if sha256 in kept_free],
    }


def shared_runs(tasks: Sequence[InfillTask], folder: Path, checkpoint: Path) -> dict[str, Any]:
    """How many tasks share 13 words in a row with a training document of the corpus in folder.

    Each task counts with the text around and in its hole; with fewer words it cannot be checked. Raises InputError
    without a corpus there.
    """
    own = [_runs_of(task) for task in tasks]
    wanted = np.unique(np.concatenate(own)) if own else np.empty(0, dtype=np.uint64)
    is_found = np.zeros(len(wanted), dtype=bool)
    documents = corpus.read(folder, "train")
    with progress("training documents", len(documents)) as advance:
        for document in documents:
            runs = ngram_hashes(word_hashes(document.text), N_WORDS)
            at = np.searchsorted(wanted, runs)
            inside = at < len(wanted)
            at = at[inside]
            is_found[at[wanted[at] == runs[inside]]] = True
            advance()
    seen = wanted[is_found]
    shared = [task.name for task, runs in zip(tasks, own, strict=True) if np.isin(runs, seen).any()]
    n_checked = sum(len(runs) > 0 for runs in own)
    return {
        "n_words": N_WORDS,
        "tasks": len(tasks),
        "checked": n_checked,
        "shared": len(shared),
        "share": round(len(shared) / n_checked, 4) if n_checked else None,
        "first_shared": shared[:N_NAMED],
        "is_own_corpus": _is_own(folder, checkpoint),
    }


def _runs_of(task: InfillTask) -> np.ndarray:
    hole = task.hole
    return ngram_hashes(word_hashes(hole.prefix + hole.truth + hole.suffix), N_WORDS)


def _is_own(folder: Path, checkpoint: Path) -> bool | None:
    """Whether the corpus holds every training source of the checkpoint; None if the checkpoint does not say."""
    ours, theirs = _manifest(checkpoint / MANIFEST), _manifest(folder / "manifest.json")
    if ours is None or theirs is None:
        return None
    return _training(ours) <= _training(theirs)


def _training(manifest: Mapping[str, Any]) -> set[str]:
    return {source["sha256"] for source in manifest["sources"] if source.get("split") == "train"}


def _manifest(path: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all("sha256" in source for source in found["sources"]):
            raise ValueError("a source without a hash")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no manifest of training sources ({error})") from None
    return found
