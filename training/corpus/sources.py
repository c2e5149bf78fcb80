"""Where source text comes from: the standard library, pinned packages as wheels or .tar.gz, installed distributions.

Packages are read as archives of text: nothing is unpacked, built, imported or run.
"""

import gzip
import hashlib
import importlib.metadata
import platform
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from functools import partial
from pathlib import Path, PurePosixPath

from ...fim.errors import InputError
from .licences import licence_of

N_FILE_BYTES_MAX = 1_000_000  # filters drop much smaller ones; a guard against archives that unpack to gigabytes
N_PACKAGE_BYTES_MAX = 1_000_000_000
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_NAME_SEPARATORS = re.compile(r"[-_.]+")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True)
class Package:
    """A package that was read: identity, licence, and its Python files by their path inside it."""

    name: str
    version: str
    licence: str
    sha256: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Refused:
    """A package that does not enter the corpus, and why."""

    name: str
    reason: str = "no permissive licence in its metadata"


@dataclass(frozen=True)
class Origin:
    """A package that can be read, in another process too: its canonical name, and what reads it."""

    name: str
    read: Callable[[], Package | Refused]


def canonical(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return _NAME_SEPARATORS.sub("-", name).lower()


def standard_library() -> Origin:
    """This interpreter's standard library."""
    return Origin("python", _read_standard_library)


def pins(packages_file: Path) -> dict[str, str]:
    """The pinned versions by canonical name. Raises InputError with the line that is no `name==version`."""
    try:
        lines = packages_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of packages {packages_file} cannot be read ({error})") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        pin = line.partition("#")[0].strip()
        if not pin:
            continue
        match = _PIN.fullmatch(pin)
        if match is None:
            raise InputError(f"{packages_file}, line {number}: {pin!r} is no pin: write name==version")
        found[canonical(match[1])] = match[2]
    return found


def archives(folder: Path, pinned: Mapping[str, str]) -> dict[str, Path]:
    """The archive of every pinned package that lies in folder, a wheel before a .tar.gz, by canonical name."""
    found: dict[str, Path] = {}
    for path in [*sorted(folder.glob("*.tar.gz")), *sorted(folder.glob("*.whl"))]:
        if path.suffix == ".whl":
            name, _, rest = path.name.partition("-")
            version = rest.partition("-")[0]
        else:
            name, _, version = path.name.removesuffix(".tar.gz").rpartition("-")
        if pinned.get(canonical(name)) == version:
            found[canonical(name)] = path
    return {name: found[name] for name in sorted(found)}


def origins(found: Mapping[str, Path]) -> Iterator[Origin]:
    """What reads each of the archives."""
    for name, path in found.items():
        yield Origin(name, partial(_read_wheel if path.suffix == ".whl" else _read_sdist, path))


def installed_distributions(skip: frozenset[str]) -> Iterator[Origin]:
    """The distributions of this environment, other than those in skip."""
    names = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    for name in sorted(canonical(name) for name in names if name):  # a half-removed one has no name
        if name not in skip:
            yield Origin(name, partial(_read_installed, name))


def download(packages_file: Path, folder: Path) -> None:
    """Fetch the wheels that are pinned and not yet in folder, with pip. Raises InputError when pip fails.

    Wheels only: for a source archive pip would run the package's own build code. One that exists only as .tar.gz can be
    put into folder manually.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pinned = pins(packages_file)
    there = archives(folder, pinned)
    missing = [f"{name}=={version}" for name, version in pinned.items() if name not in there]
    if not missing:
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as fetching:
        result = subprocess.run([*command, "-d", fetching, *missing], check=False)
        for path in Path(fetching).iterdir():  # what came whole is kept, so that the next try fetches the rest
            path.replace(folder / path.name)
    if result.returncode:
        raise InputError(f"pip could not download the packages of {packages_file}; its message stands above")


def _read_standard_library() -> Package:
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "lib2to3", "test", "idlelib", "turtledemo"}
    files: dict[str, bytes] = {}
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not skipped & set(inside.parts):
            files[inside.as_posix()] = path.read_bytes()
    return Package("python", platform.python_version(), "PSF-2.0", _digest(files), files)


def _read_wheel(path: Path) -> Package | Refused:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            header = next(n for n in infos if _METADATA.fullmatch(n))
            wanted = [
                n for n, info in sorted(infos.items()) if n.endswith(".py") and info.file_size <= N_FILE_BYTES_MAX
            ]
            if sum(infos[n].file_size for n in wanted) > N_PACKAGE_BYTES_MAX:
                return Refused(path.name, "unpacks to more than a gigabyte")
            metadata = _header(archive.read(header))
            if (licence := licence_of(metadata)) is None:
                return Refused(path.name)
            files = {n: archive.read(n) for n in wanted}
        return _package(metadata, licence, path, files)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        StopIteration,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise _damaged(path, error) from error


def _read_sdist(path: Path) -> Package | Refused:
    try:
        metadata, files, n_bytes = None, {}, 0
        # A stream: nothing is written anywhere.
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                inside = PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix()
                wanted = inside == "PKG-INFO" or inside.endswith(".py")
                if not (wanted and member.isreg() and member.size <= N_FILE_BYTES_MAX):
                    continue
                n_bytes += member.size
                if n_bytes > N_PACKAGE_BYTES_MAX:
                    return Refused(path.name, "unpacks to more than a gigabyte")
                stream = archive.extractfile(member)
                raw = stream.read() if stream else b""
                if inside == "PKG-INFO":
                    metadata = _header(raw)
                else:
                    files[inside] = raw
            while unpacked.read(1 << 20):  # to the checksum at the end
                pass
        if metadata is None:
            return Refused(path.name, "no PKG-INFO in it")
        licence = licence_of(metadata)
        return Refused(path.name) if licence is None else _package(metadata, licence, path, files)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        raise _damaged(path, error) from error


def _read_installed(name: str) -> Package | Refused:
    distribution = importlib.metadata.distribution(name)
    licence = licence_of(_header((distribution.read_text("METADATA") or "").encode()))
    if licence is None:
        return Refused(name)
    files: dict[str, bytes] = {}
    for entry in sorted(map(str, distribution.files or [])):
        located = Path(str(distribution.locate_file(entry)))
        if entry.endswith(".py") and ".." not in PurePosixPath(entry).parts and located.is_file():
            files[entry] = located.read_bytes()
    return Package(name, distribution.version, licence, _digest(files), files)


def _package(metadata: Message, licence: str, path: Path, files: Mapping[str, bytes]) -> Package:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(canonical(metadata["Name"] or ""), metadata["Version"] or "", licence, digest, files)


def _header(raw: bytes) -> Message:
    return HeaderParser().parsestr(raw.decode("utf-8", "replace"))


def _digest(files: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(raw).digest() for raw in files.values())).hexdigest()


def _damaged(path: Path, error: BaseException) -> InputError:
    why = str(error) or type(error).__name__
    return InputError(f"the archive {path} is damaged ({why}): delete it and run `quicksilver train corpus` again")
