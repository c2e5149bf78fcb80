"""Fetches pinned source archives by name, without running a line of them.

pip says where an archive lies, since it knows which index this machine uses. It does not download it: for a source
archive `pip download` runs the package's own build code. Every archive is checked against its SHA-256.
"""

import hashlib
import re
import subprocess
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path

from ...fim.errors import InputError
from ...fim.text.printable import one_line
from ..corpus.heldout_packages import HeldOutPackage

N_ARCHIVE_BYTES_MAX = 100_000_000
LINK = re.compile(r"https?://\S+")
TIMEOUT_S = 120
N_TOLD_CHARS = 120  # of pip's last line, in a message


def fetch(package: HeldOutPackage, folder: Path) -> Path:
    """The package's archive in folder, downloaded unless it is there. Raises InputError when it cannot be had."""
    path = folder / package.archive
    if path.is_file():
        check_hash(package, path.read_bytes(), f"delete {path} and run the command again")
        return path
    raw = _download(find_link(package))
    check_hash(package, raw, "the index serves other bytes than were pinned: do not use them")
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(raw)
    part.replace(path)
    return path


def check_hash(package: HeldOutPackage, raw: bytes, remedy: str) -> None:
    """Raises InputError unless raw is the archive that was pinned."""
    found = hashlib.sha256(raw).hexdigest()
    if found != package.sha256:
        raise InputError(f"{package.archive} has the SHA-256 {found}, not {package.sha256}: {remedy}")


def find_link(package: HeldOutPackage) -> str:
    """The address of the archive, as pip's index gives it. Raises InputError."""
    command = [sys.executable, "-m", "pip", "index", "versions", "--pre", "-vv", package.name]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"pip cannot be asked for {package.name} ({error}): install pip and try again") from error
    # pip names every file of a package that it sees, also those that it would not install here.
    told = result.stdout + result.stderr
    links = (link.partition("#")[0] for link in LINK.findall(told))
    found = next((link for link in links if link.endswith(f"/{package.archive}")), None)
    if found is None:
        last = one_line(told.strip().rpartition("\n")[2])[:N_TOLD_CHARS]
        raise InputError(f"pip does not find {package.archive} (it says: {last}): check pip, its index and the network")
    return found


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            raw = answer.read(N_ARCHIVE_BYTES_MAX + 1)
    except (OSError, HTTPException) as error:
        raise InputError(f"{url} cannot be downloaded ({error}): try again") from error
    if len(raw) > N_ARCHIVE_BYTES_MAX:
        raise InputError(f"{url} has more than {N_ARCHIVE_BYTES_MAX:,} bytes: that is not the pinned archive")
    return raw
