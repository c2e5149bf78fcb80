"""Text of others costs time in proportion to its length: every regular expression, and the functions that read whole
documents. The bounds are generous; what these tests are for took minutes, with the interpreter lock held."""

import ast
import importlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import quicksilver.fim

pytestmark = pytest.mark.slow

FOLDER = Path(quicksilver.fim.__file__).parent.parent
ROOMS = ("fim", "lsp_server", "training")
LENGTHS = (2_000, 20_000, 100_000)  # a quadratic search shows itself before the longest, and ends the test soon
LIMIT_S = 2.0
UNITS = (
    ".", " ", "\t", "\n", "\r", '"', "'", '"""', '\\"""', "\\", "(", "[", "{", "<", "#", "a", "A", "9", "_", "-", "@",
    "/", "é", "a.", "a-", "a@", "a,", "[:a:]", "export ", "export\n", "import ", "import\n", "const ", "const\n",
    "from a import (\n", "from ", "from ." , "x from ", "\n \t", " \n", "eyJ-", "eyJ-aaaaaaaaaa.", "secret", "auth",
    "example.", "AKIA", "SG.", "sk-", "-----BEGIN A-----", "-----BEGIN A", " and", " / ", ", version", "9l", "test_",
    "_pb2", "generated ", "except a", "print ", "case ", "default ", "rb", "**/", "*", "a as b,", "xox", "ghp_", "hf_",
)  # fmt: skip
STARTS = ("", "from ", "import ", "export ", '"""', "@", "[", "secret='", "-----BEGIN ", "\n")
ENDS = ("", "!", "\\", "\n", '"', "-", "x\n")


def uses() -> Iterator[tuple[str, re.Pattern, str]]:
    """Every compiled pattern of these rooms, and how it is used: (its place, the pattern, the method)."""
    for room in ROOMS:
        for path in sorted((FOLDER / room).rglob("*.py")):
            place = path.relative_to(FOLDER).as_posix()
            for name, pattern in patterns_of("quicksilver." + place.removesuffix(".py").replace("/", "."), path):
                for method in methods_of(name.partition("[")[0], path.read_text(encoding="utf-8")):
                    yield f"{place} {name} {method}", pattern, method


def patterns_of(module: str, path: Path) -> list[tuple[str, re.Pattern]]:
    if "re.compile" not in path.read_text(encoding="utf-8"):
        return []
    values = vars(importlib.import_module(module))
    found = [(name, value) for name, value in values.items() if isinstance(value, re.Pattern)]
    for name, value in values.items():
        if name.startswith("_") and isinstance(value, tuple | dict):
            found_rows = value.values() if isinstance(value, dict) else value
            rows = [each for row in found_rows for each in (row if isinstance(row, tuple) else (row,))]
            found += [(f"{name}[{n}]", each) for n, each in enumerate(rows) if isinstance(each, re.Pattern)]
    return found


def methods_of(name: str, source: str) -> set[str]:
    """match or fullmatch where a pattern is used at one place of a text only, else finditer, which costs most.

    A pattern of a dictionary is called `pattern` where it is used.
    """
    name = rf"(?:{name}|pattern)" if re.search(rf"^{name} = \{{", source, re.MULTILINE) else name
    called = set(re.findall(rf"\b{name}\.(match|fullmatch|search|finditer|findall|subn?|split)\b", source))
    called -= {"finditer"} if name.startswith("(") and "match" in called else set()  # keys.py has another pattern, too
    return {method if method in ("match", "fullmatch") else "finditer" for method in called} or {"finditer"}


USES = list({(pattern, method): (place, pattern, method) for place, pattern, method in uses()}.values())


def texts(length: int) -> Iterator[str]:
    for number, unit in enumerate(UNITS):
        start, end = STARTS[number % len(STARTS)], ENDS[number % len(ENDS)]
        yield start + (unit * (length // len(unit) + 1))[:length] + end
    for start in STARTS:
        yield from (start + character * length + "!" for character in ". a")


def run(pattern: re.Pattern, method: str, text: str) -> None:
    if method == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, method)(text)


@pytest.mark.parametrize(("pattern", "method"), [pytest.param(p, m, id=place) for place, p, m in USES])
def test_a_regular_expression_reads_a_hostile_text_in_time(pattern, method):
    is_bytes = isinstance(pattern.pattern, bytes)
    for length in LENGTHS:
        for text in texts(length):
            started_s = time.perf_counter()
            run(pattern, method, text.encode() if is_bytes else text)  # type: ignore[arg-type]
            assert time.perf_counter() - started_s < LIMIT_S, (length, text[:30], text[-10:])


def test_the_patterns_are_found():
    places = {place.rpartition(" ")[0] for place, _, _ in USES}
    assert {
        "fim/workspace/imports.py _PYTHON",
        "fim/syntax/blocks.py _NEXT_CODE",
        "training/corpus/scrub.py _EMAIL",
    } <= places
    assert len(places) > 50


@pytest.mark.parametrize("room", ROOMS)
def test_no_regular_expression_hides_in_a_function(room):
    """The test above sees constants of modules. ignore_patterns.py compiles the patterns of others, and bounds them."""
    for path in (FOLDER / room).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and path.name != "ignore_patterns.py":
                names = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
                assert {name for name in names if name.startswith("re.")} <= {"re.escape"}, (
                    f"{path.name} {function.name}"
                )
