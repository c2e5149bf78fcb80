"""Packages of many languages, pinned by name and version: npm's and Debian's, read as archives of text.

Nothing is installed or run. A package is refused unless its own metadata name a permissive licence; in a Debian package
that holds for each file.
"""

import glob
import io
import json
import lzma
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import Parser
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath

from ...fim.errors import InputError
from .licences import is_permissive
from .sources import N_FILE_BYTES_MAX, Origin, Package, Refused

_PIN = re.compile(r"(npm|deb) ((?:@[a-z0-9._-]+/)?[A-Za-z0-9+._-]+)==(\S+)")
_UNSAFE = re.compile(r"[^A-Za-z0-9.+_-]")
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_WORD = re.compile(r"[()]|[^\s(),|]+|\|")
_AR_HEADER = 60  # bytes before each member of a .deb
# How Debian's lists of licences write what SPDX calls otherwise.
_SPDX = {"expat": "MIT", "apache-2": "Apache-2.0", "bsd-3": "BSD-3-Clause", "bsd-2": "BSD-2-Clause", "bsl-1": "BSL-1.0"}
_SPDX |= {"boost-1.0": "BSL-1.0", "public-domain": "CC0-1.0", "bsd-3-clauses": "BSD-3-Clause"}


N_AT_ONCE = 12


@dataclass(frozen=True)
class Pin:
    """A package of a registry: npm or deb."""

    registry: str
    name: str
    version: str

    @property
    def file_name(self) -> str:
        """A name for its archive that tells registry, name and version."""
        plain = _UNSAFE.sub("_", f"{self.name}_{self.version}")
        return f"{self.registry}_{plain}.{'tgz' if self.registry == 'npm' else 'deb'}"

    @property
    def served_as(self) -> str:
        """What the name of the archive that its registry gives begins with."""
        if self.registry == "deb":
            return f"{self.name}_"
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}."


def read_pins(path: Path) -> list[Pin]:
    """The pins in a list. Raises InputError with the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of packages {path} cannot be read ({error})") from error
    found = []
    for number, line in enumerate(lines, 1):
        pin = line.partition("#")[0].strip()
        match = _PIN.fullmatch(pin)
        if match:
            found.append(Pin(*match.groups()))
        elif pin:
            raise InputError(f"{path}, line {number}: {pin!r} is no pin: write npm or deb, and name==version")
    return found


def fetch(pins: Sequence[Pin], folder: Path, advance: Callable[[int], None]) -> dict[Pin, Path]:
    """The archives in folder, downloaded unless they are there; without those that their registry does not give.

    Many at a time: each call of npm or apt-get takes a second of a core, whatever it fetches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for registry in ("npm", "deb"):
        missing = [pin for pin in pins if pin.registry == registry and not (folder / pin.file_name).is_file()]
        for i in range(0, len(missing), N_AT_ONCE):
            _download(missing[i : i + N_AT_ONCE], folder)
            advance(len(missing[i : i + N_AT_ONCE]))
    return {pin: folder / pin.file_name for pin in pins if (folder / pin.file_name).is_file()}


def _download(pins: Sequence[Pin], folder: Path) -> None:
    """Fetch packages of one registry; where one of them makes the call fail, each by itself."""
    if pins[0].registry == "npm":
        command = ["npm", "pack", "--silent", "--ignore-scripts", *(f"{pin.name}@{pin.version}" for pin in pins)]
    else:
        command = ["apt-get", "download", "-qq", *(f"{pin.name}={pin.version}" for pin in pins)]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as fetching:
        try:
            result = subprocess.run(command, cwd=fetching, capture_output=True, check=False)
        except OSError as error:
            raise InputError(
                f"{command[0]} cannot be run ({error.strerror}): install it, or shorten the list"
            ) from error
        for pin in pins:
            for path in Path(fetching).glob(glob.escape(pin.served_as) + "*"):
                path.replace(folder / pin.file_name)
    if result.returncode and len(pins) > 1:
        for pin in pins:
            if not (folder / pin.file_name).is_file():
                _download([pin], folder)


def origins(found: Mapping[Pin, Path]) -> Iterator[Origin]:
    """The readers of the archives."""
    for pin, path in found.items():
        yield Origin(f"{pin.registry}/{pin.name}", partial(read_package, pin, path))


def read_package(pin: Pin, path: Path) -> Package | Refused:
    """A package's text files by their path inside it. Raises InputError when the archive is damaged."""
    name = f"{pin.registry}/{pin.name}"
    try:
        content = path.read_bytes()
        files = _files(content, 1) if pin.registry == "npm" else _files(_member(content, "data.tar"), 0)
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, ValueError) as error:
        raise InputError(f"the archive {path} is damaged ({error}): delete it and run the command again") from error
    if pin.registry == "npm":
        licence = _npm_licence(files)
    else:
        licence, files = _debian_licence(files)
    if licence is None:
        return Refused(name)
    return Package(name, pin.version, licence, sha256(content).hexdigest(), files)


def _member(deb: bytes, name: str) -> bytes:
    """A member of a .deb, whose name begins with name. Raises ValueError."""
    if not deb.startswith(b"!<arch>\n"):
        raise ValueError("it is no Debian package")
    at = 8
    while at + _AR_HEADER <= len(deb):
        size = int(deb[at + 48 : at + 58])
        if deb[at : at + 16].decode("ascii", "replace").startswith(name):
            return deb[at + _AR_HEADER : at + _AR_HEADER + size]
        at += _AR_HEADER + size + size % 2
    raise ValueError(f"it has no {name}")


def _files(archive: bytes, n_left_out: int) -> dict[str, bytes]:
    """The small regular files of a tar archive, by their path but for the first parts."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as unpacked:
        for member in unpacked:
            stream = unpacked.extractfile(member) if member.isreg() and member.size <= N_FILE_BYTES_MAX else None
            if stream:
                files[PurePosixPath(*PurePosixPath(member.name).parts[n_left_out:]).as_posix()] = stream.read()
    return files


def _npm_licence(files: Mapping[str, bytes]) -> str | None:
    try:
        licence = json.loads(files.get("package.json", b"{}")).get("license")
    except (ValueError, AttributeError):
        return None
    return licence if isinstance(licence, str) and is_permissive(licence) else None


def _debian_licence(files: Mapping[str, bytes]) -> tuple[str | None, dict[str, bytes]]:
    """The package's licence, and those of its files that have a permissive one."""
    text = next((files[path] for path in files if _COPYRIGHT.fullmatch(path)), b"")
    rules = []
    for paragraph in _BLANK_LINE.split(text.decode("utf-8", "replace").replace("\r", "")):
        fields = Parser().parsestr(paragraph.strip() + "\n\n")
        if fields["Files"] and fields["License"]:
            rules.append((fields["Files"].split(), _spdx(fields["License"].splitlines()[0])))
    if not rules or not all(is_permissive(licence) for patterns, licence in rules if "*" in patterns):
        return None, {}
    whole = next((licence for patterns, licence in rules if "*" in patterns), None)
    kept = {}
    for path, raw in files.items():
        licence = next((found for patterns, found in reversed(rules) if _is_meant(path, patterns)), None)
        if licence is not None and is_permissive(licence) and not path.startswith("usr/share/doc/"):
            kept[path] = raw
    return whole, kept


def _is_meant(path: str, patterns: list[str]) -> bool:
    """Whether one of the patterns, which are those of the source package, fits an end of an installed path."""
    parts = PurePosixPath(path).parts
    ends = ["/".join(parts[i:]) for i in range(len(parts))]
    return any(fnmatchcase(end, pattern.removeprefix("./")) for pattern in patterns for end in ends)


def _spdx(licence: str) -> str:
    """A licence as SPDX writes it, from how Debian's lists do."""
    operators = {"or": "OR", "and": "AND", "|": "OR", "and/or": "OR"}
    names = operators | _SPDX
    words: list[str] = _WORD.findall(licence)
    return " ".join(names.get(word.lower(), word) for word in words)
