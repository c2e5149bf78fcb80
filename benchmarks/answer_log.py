"""Answers kept on disk, so that a killed evaluation goes on where it stopped. Knows no decoder and no score.

One JSON object a line: by (weights, number format and code that gave the answer), decoder, task (`Task.key`) and the
answer. Only answers by the same makers are taken up again; others stay in the file and are passed over. A last line
that was cut off is dropped.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from ..fim.errors import InputError
from .decoders import Answer

N_HASH = 16
LINE_START = '{"by": "'
CODE_FOLDERS = ("fim", "kernels", "model")
CODE_FILES = ("benchmarks/decoders.py", "benchmarks/floors.py", "benchmarks/syntax.py")


@dataclass(frozen=True)
class Record:
    """One answer, who gave it and to which hole; parses: whether the filled file does (None: it did not before)."""

    by: str
    decoder: str
    task: str
    answer: Answer
    parses: bool | None


class AnswerLog:
    """Appends records to a file, if there is one, and finds those of an earlier run. A context manager."""

    def __init__(self, path: Path | None) -> None:
        """Read what path holds. Raises InputError when it is no such log, is in use or cannot be written."""
        self.path = path
        self._records: dict[tuple[str, str, str], Record] = {}
        self._stream: IO[str] | None = None
        if path is None:
            return
        try:
            self._stream = path.open("a+", encoding="utf-8")
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(self._stream)
        except BlockingIOError:
            raise InputError(f"another evaluation is writing to {path}: wait, or name another file") from None
        except OSError as error:
            raise InputError(f"cannot use {path}: {error.strerror or error}") from error
        except UnicodeDecodeError:
            raise InputError(f"{path} holds no answers of an evaluation: name another file") from None

    def _read(self, stream: IO[str]) -> None:
        stream.seek(0)
        whole_end = 0
        while line := stream.readline():
            if not line.endswith("\n") and (line.startswith(LINE_START) or LINE_START.startswith(line)):
                break  # cut off by a kill
            self._keep(self._record(line))
            whole_end = stream.tell()
        stream.truncate(whole_end)
        stream.seek(whole_end)

    def _record(self, line: str) -> Record:
        try:
            fields = json.loads(line)
            return Record(**{**fields, "answer": Answer(**fields["answer"])})
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{self.path} holds no answers of an evaluation: name another file") from None

    def _keep(self, record: Record) -> None:
        self._records[record.by, record.decoder, record.task] = record

    def find(self, by: str, decoder: str, task: str) -> Record | None:
        """What was answered, if anything."""
        return self._records.get((by, decoder, task))

    def add(self, records: Iterable[Record]) -> None:
        """Keep records, and write them out at once. Raises OSError when the disk is full."""
        lines: list[str] = []
        for record in records:
            self._keep(record)
            lines.append(json.dumps(asdict(record)) + "\n")
        if self._stream is not None:
            self._stream.write("".join(lines))
            self._stream.flush()

    def __enter__(self) -> "AnswerLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()


def maker(weights: str, dtype: str, runtime: str, code: str) -> str:
    """Who answers: the SHA-256 of a file of weights, a number format, a runtime, and what `code_digest` gave."""
    return f"{weights[:N_HASH]}/{dtype}/{runtime}/{code}"


def code_digest() -> str:
    """Changes with the source text that answers depend on. To be asked once, while that is what was imported."""
    root = Path(__file__).parent.parent
    paths = [root / file for file in CODE_FILES]
    paths += [path for folder in CODE_FOLDERS for path in sorted((root / folder).glob("*.py"))]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:N_HASH]
