"""Results kept on disk, so that a killed evaluation resumes where it stopped.

One JSON object a line; a last line that was cut off is dropped. Answers have by (weights, number format and code that
gave the answer), decoder, task (`Task.key`) and the answer. Only answers with the same `by` are used again; others stay
in the file and are skipped.
"""

import fcntl
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

from ...fim.errors import InputError
from .decoders import Attempt

N_HASH = 16
CODE_FOLDERS = ("fim", "kernels", "model")
CODE_FILES = tuple(
    f"benchmarks/quality/{name}.py" for name in ("decoders", "published_decoders", "baselines", "syntax")
)


@dataclass(frozen=True)
class Record:
    """One answer, who gave it and to which hole; parses: whether the filled file does (None: it did not before)."""

    by: str
    decoder: str
    task: str
    answer: Attempt
    parses: bool | None


Kept = TypeVar("Kept")


class ResultLog(ABC, Generic[Kept]):
    """Appends results to a file, if there is one, and reads those of an earlier run. A context manager.

    A kind of results says how its lines begin, what they are called, and how one becomes a line and back.
    """

    line_start: str
    name: str

    def __init__(self, path: Path | None) -> None:
        """Read what path holds. Raises InputError when it is no such log, is in use or cannot be written."""
        self.path = path
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
            raise self._foreign() from None

    @abstractmethod
    def keep(self, result: Kept) -> None:
        """Remember a result."""

    @abstractmethod
    def result_of(self, fields: dict[str, Any]) -> Kept:
        """A result from a line's fields. Raises ValueError, TypeError, KeyError for other fields."""

    @abstractmethod
    def fields_of(self, result: Kept) -> dict[str, Any]:
        """A line's fields."""

    def _foreign(self) -> InputError:
        return InputError(f"{self.path} holds no {self.name} of an evaluation: name another file")

    def _read(self, stream: IO[str]) -> None:
        stream.seek(0)
        whole_end = 0
        while line := stream.readline():
            if not line.endswith("\n") and (line.startswith(self.line_start) or self.line_start.startswith(line)):
                break  # cut off by a kill
            try:
                self.keep(self.result_of(json.loads(line)))
            except (ValueError, TypeError, KeyError):
                raise self._foreign() from None
            whole_end = stream.tell()
        stream.truncate(whole_end)
        stream.seek(whole_end)

    def add(self, results: Iterable[Kept]) -> None:
        """Keep results, and write them out at once. Raises OSError when the disk is full."""
        lines: list[str] = []
        for result in results:
            self.keep(result)
            lines.append(json.dumps(self.fields_of(result)) + "\n")
        if self._stream is not None:
            self._stream.write("".join(lines))
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()


class AnswerLog(ResultLog[Record]):
    """The answers of an evaluation."""

    line_start, name = '{"by": "', "answers"

    def __init__(self, path: Path | None) -> None:
        """Read what path holds. Raises InputError when it is no such log, is in use or cannot be written."""
        self._records: dict[tuple[str, str, str], Record] = {}
        super().__init__(path)

    def keep(self, result: Record) -> None:
        """Remember an answer; it takes the place of an earlier one."""
        self._records[result.by, result.decoder, result.task] = result

    def result_of(self, fields: dict[str, Any]) -> Record:
        """An answer from a line's fields."""
        return Record(**{**fields, "answer": Attempt(**fields["answer"])})

    def fields_of(self, result: Record) -> dict[str, Any]:
        """A line's fields."""
        return asdict(result)

    def find(self, by: str, decoder: str, task: str) -> Record | None:
        """The answer, if there is one."""
        return self._records.get((by, decoder, task))


def maker(weights: str, dtype: str, runtime: str, code: str) -> str:
    """The `by` of answers: the SHA-256 of a file of weights, a number format, a runtime, and a `code_digest`."""
    return f"{weights[:N_HASH]}/{dtype}/{runtime}/{code}"


def code_digest() -> str:
    """Changes with the source text that answers depend on. Call it before that text can change."""
    root = Path(__file__).parents[2]
    paths = [root / file for file in CODE_FILES]
    paths += [path for folder in CODE_FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:N_HASH]
