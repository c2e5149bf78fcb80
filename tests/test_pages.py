"""The pages are true: links, commands, options, make targets, settings and files that they name exist.

Owns how a page is read. It does not know what a command does; the log, results and decisions tell of the past, so only
their links are checked.
"""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
from quicksilver.cli.main import main
from quicksilver.fim.terminal import arguments as command_line
from quicksilver.lsp_server.settings import Settings, camel_case

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("editors/*/README.md")}
)
CARDS = ROOT.glob("model/checkpoints/*/MODEL_CARD.md")
LINKING = sorted(
    {*PAGES, ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("editors/vscode/**/*.md"), *CARDS}
)
LINKING = [page for page in LINKING if "node_modules" not in page.parts]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(.+?)\1")
LINK = re.compile(r"\]\(([^()\s]+)\)")
PROGRAM = re.compile(r"(?:^|/)quicksilver$")
MODULES = {"quicksilver.training": ["train"], "quicksilver.cli": []}  # what `python -m` names runs them
SHELL_ENDS = frozenset({"|", "||", "&", "&&", ";", ">", "<"})
FILE = re.compile(r"^(?:[\w.*-]+/)*[\w*-][\w.*-]*\.(?:py|md|el|lua|txt|sh|mjs|js|toml|json)$")
# Named by pages, but written by programs or other people, and so not in the tree.
FOREIGN = frozenset(
    {"config.json", "generation_config.json", "tokenizer.json", "model.safetensors.index.json", "vocab.json"}
    | {"merges.txt", "plan.json", "samples.md", "sources.json", "secrets.json", "secrets.toml", "setup.py", "init.el"}
    | {"docs/decisions/NNNN-name.md", "languages.toml", "coc-settings.json"}
)


@dataclass(frozen=True)
class Line:
    """Code on a page: the number of its line, its text, and whether a shell would run it."""

    number: int
    text: str
    is_shell: bool = False


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def without_fences(text: str) -> str:
    """The text with its fenced blocks blanked, so that lines keep their numbers."""
    return FENCE.sub(lambda found: "\n" * found.group().count("\n"), text)


def inline_code(text: str) -> Iterator[Line]:
    """What stands between backticks, table cells included."""
    for number, line in enumerate(without_fences(text).splitlines(), 1):
        for found in CODE.finditer(line):
            yield Line(number, found.group(2).strip())


def shell_lines(text: str) -> Iterator[Line]:
    """The lines of fenced sh blocks, without comments."""
    for found in FENCE.finditer(text):
        if found.group(1) in ("sh", "bash", "console"):
            first = text.count("\n", 0, found.start()) + 2
            for number, line in enumerate(found.group(2).splitlines(), first):
                yield Line(number, re.sub(r"(^|\s)#.*", "", line).strip(), is_shell=True)


def words(line: Line) -> list[str]:
    """A command line in words; operators of the shell are words of their own."""
    lexer = shlex.shlex(line.text, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # a quotation that goes on in the next line
        return line.text.split()


def command_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every `quicksilver …` on a page, as the arguments behind the program's name."""
    for line in (*shell_lines(text), *inline_code(text)):
        parts = words(line)
        for at, part in enumerate(parts):
            is_program = PROGRAM.search(part) and (line.is_shell or at == 0) and "=" not in part
            is_module = part in MODULES and at > 0 and parts[at - 1] == "-m"
            if is_program or is_module:
                end = next((n for n in range(at, len(parts)) if parts[n] in SHELL_ENDS), len(parts))
                yield line.number, [*MODULES.get(part, []), *parts[at + 1 : end]]
        if not line.is_shell and parts[:1] in (["bench"], ["eval"], ["train"]) and len(parts) > 1:
            yield line.number, parts


@cache
def parser_of(path: tuple[str, ...]) -> argparse.ArgumentParser | None:
    """The parser that reads the options of a command; None if there is no such command."""
    parsers: list[argparse.ArgumentParser] = []
    make = command_line.Parser.__init__

    def remember(self: command_line.Parser, *arguments: object, **named: object) -> None:
        make(self, *arguments, **named)  # pyright: ignore[reportArgumentType]
        parsers.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line.Parser, "__init__", remember)
        try:
            main([*path, "--help"])
        except SystemExit:
            name = " ".join(["quicksilver", *path])
            return next((parser for parser in reversed(parsers) if parser.prog == name), None)
    return None


def fault_of(arguments: list[str]) -> str | None:
    """What is wrong with a command line, None if nothing is. Values in capitals and the like are taken as they are."""
    path: tuple[str, ...] = ()
    parser = parser_of(path)
    for word in arguments:
        children = [each for each in parser._actions if each.nargs == argparse.PARSER] if parser else []
        if word.startswith("-") or not children or not re.fullmatch(r"[a-z]+(-[a-z]+)*", word):
            break
        path = (*path, word)
        parser = parser_of(path)
        if parser is None:
            return f"there is no command {' '.join(path)}"
    assert parser is not None
    options = [word.partition("=")[0] for word in arguments[len(path) :] if re.match(r"--?[a-z]", word)]
    unknown = [option for option in options if option not in parser._option_string_actions]
    return f"{' '.join(path)} has no option {', '.join(unknown)}" if unknown else None


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def same(shown: str, value: object) -> bool:
    """Whether a page shows that value: `.85` is 0.85, `300 ms` is 300.0, `[]` is ()."""
    bare = shown.strip("` ").removesuffix(" ms")
    if isinstance(value, tuple):
        value = list(value)
    try:
        return json.loads(re.sub(r"^\.", "0.", bare)) == value
    except ValueError:
        return bare == value


def setting_defaults() -> dict[str, object]:
    """Every spelling of a setting with its default."""
    found: dict[str, object] = {}
    for name, value in vars(Settings()).items():
        found |= {name: value, camel_case(name): value, f"quicksilver.{camel_case(name)}": value}
    return found


def test_what_is_read_on_a_page():
    page = "`quicksilver doctor` \n```sh\nA=1 .venv/bin/quicksilver serve --port 1 | cat --no   # quicksilver no\n```\n"
    assert list(command_lines(page)) == [(3, ["serve", "--port", "1"]), (1, ["doctor"])]
    assert fault_of(["serve", "--port", "1"]) is None
    assert fault_of(["serve", "--ports", "1"]) == "serve has no option --ports"
    assert fault_of(["bench", "nothing"]) == "there is no command bench nothing"
    assert fault_of(["--option"]) == " has no option --option"


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(CODE.sub("", without_fences(read(page)))):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = page if not name else (page.parent / name).resolve()
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(read(file))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_exist(name, capsys):
    faults = [f"{name}:{line}: {fault}" for line, each in command_lines(read(ROOT / name)) if (fault := fault_of(each))]
    assert faults == []


def test_the_page_of_commands_has_every_command(capsys):
    named = {
        " ".join(arguments[:n]) for _, arguments in command_lines(read(ROOT / "docs" / "commands.md")) for n in (1, 2)
    }
    for path in ((), ("bench",), ("eval",)):
        parser = parser_of(path)
        assert parser is not None
        children = [each.choices for each in parser._actions if each.nargs == argparse.PARSER and each.choices]
        commands = {" ".join([*path, name]) for name in children[0]}
        assert commands and commands <= named


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_npm_scripts_and_variables_exist(name):
    makefile = read(ROOT / "Makefile")
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    scripts = set(json.loads(read(ROOT / "editors" / "vscode" / "package.json"))["scripts"])
    missing = []
    for line in (*shell_lines(read(ROOT / name)), *inline_code(read(ROOT / name))):
        parts = words(line)
        if parts[:1] == ["make"]:
            variables = [word.partition("=")[0] for word in parts if "=" in word]
            missing += [word for word in variables if not re.search(rf"\b{word}\b", makefile)]
            missing += [word for word in parts[1:] if re.fullmatch(r"[a-z-]+", word) and word not in targets]
        if parts[:2] == ["npm", "run"] and parts[2] not in scripts:
            missing.append(parts[2])
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_settings_exist_and_have_the_default_that_is_shown(name):
    defaults, text = setting_defaults(), without_fences(read(ROOT / name))
    package = json.loads(read(ROOT / "editors" / "vscode" / "package.json"))["contributes"]
    offered = {
        name: each.get("default") for part in package["configuration"] for name, each in part["properties"].items()
    }
    known = {**defaults, **offered}
    commands = {each["command"] for each in package["commands"]}
    faults = [each for each in re.findall(r"`(\w+): (?:true|false|[\d.]+)`", text) if each not in known]
    shown = re.findall(r"`([\w.]+)` \((?:default )?(\.?\d[\d.]*(?: ms)?)\)", text)
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    shown += [(row[0].strip("`"), row[-2]) for row in rows if len(row) > 2 and row[0].strip("`") in known and row[-2]]
    faults += [f"{each}: {value}" for each, value in shown if each in known and not same(value, known[each])]
    if name.startswith("editors/vscode"):
        named = re.findall(r"`(quicksilver\.[a-z]\w*)`", text)
        faults += [each for each in named if each not in known and each not in commands]
    assert faults == []


def test_options_of_the_emacs_client_exist_and_have_the_default_that_is_shown():
    lisp = "\n".join(read(file) for file in ROOT.glob("editors/emacs/*.el"))
    text = read(ROOT / "editors" / "emacs" / "README.md")
    named = set(re.findall(r"(?<![\w/])(?:global-)?quicksilver-[a-z-]+[a-z](?![\w/])", text)) - {
        "quicksilver-lsp",
        "quicksilver-eglot",
    }
    assert {name for name in named if not re.search(rf"\(def[\w-]+ {name}[\s)]", lisp)} == set()
    rows = re.findall(r"^\| `(quicksilver-[a-z-]+)` \| `([^`]+)` \|", text, re.MULTILINE)
    assert len(rows) > 4
    for name, default in rows:
        assert re.search(rf"\(defcustom {name}\s+'?{re.escape(default)}\s", lisp), (name, default)


@cache
def tree() -> frozenset[str]:
    """All files of the repository that may be named, as paths below its root."""
    skipped = {"node_modules", "build", "dist", "runs", "__pycache__"}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.suffix != ".pyc")
    return frozenset(
        str(path) for path in files
        if not any(part in skipped or (part[0] == "." and part != ".ci") for part in path.parts)
    )  # fmt: skip


def stands(name: str, folders: list[str]) -> bool:
    """Whether a file of that name or pattern is there, below the root or one of folders."""
    patterns = [name, *(f"{folder}/{name}" for folder in folders)]
    return any(fnmatchcase(path, pattern) for pattern in patterns for path in tree())


@pytest.mark.parametrize("name", NAMES)
def test_files_in_backticks_exist(name):
    """A bare name is a file in the folder that the same line named last, else anywhere."""
    here = str(Path(name).parent)
    missing, folder, number = [], "", 0
    for code in inline_code(read(ROOT / name)):
        if code.number != number:
            folder, number = "", code.number
        if not FILE.fullmatch(code.text) or code.text in FOREIGN or code.text.startswith(("runs/", "checkpoint")):
            continue
        if "/" in code.text:
            folder = code.text.rpartition("/")[0]
            found = stands(code.text, [here])
        else:
            found = stands(code.text, [folder] if folder else [here, "*"])
        missing += [] if found else [f"{name}:{code.number}: {code.text}"]
    assert missing == []
