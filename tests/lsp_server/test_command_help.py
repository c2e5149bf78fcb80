"""The help of every command: its own name in the usage line, its exit codes, and a word for each option."""

import argparse
import re

import pytest
from quicksilver.benchmarks import bench
from quicksilver.cli.main import main
from quicksilver.fim.terminal import arguments as command_line

COMMANDS = [
    "", "lsp", "complete", "doctor", "demo", "editors", "settings", "serve", "stop", "fetch", "train", "eval", "bench",
    "train corpus", "train heldout", "train code", "train tokenizer", "train shards", "train run", "train curves",
    "train ranker", "train card", "train average", "train lora", "train head", "train ngrams", "eval cursors",
    "bench latency", "bench throughput", "bench nvim", "bench indexing", "bench summary", "bench keystroke",
    "bench streams", "bench infill-server", "playground",
]  # fmt: skip
WITH_TORCH = [  # slow to load
    "eval heldout", "eval infill", "bench peers", "bench scaling", "bench replay", "bench kernels", "bench published",
    "bench steps", "bench protocol", "bench typing", "bench soak", "bench llama",
]  # fmt: skip


@pytest.mark.parametrize("command", [*COMMANDS, *(pytest.param(name, marks=pytest.mark.slow) for name in WITH_TORCH)])
def test_help_names_its_command_and_explains_every_option(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parsers: list[argparse.ArgumentParser] = []
    make = command_line.Parser.__init__

    def remember(self, *arguments, **named):
        make(self, *arguments, **named)
        parsers.append(self)

    monkeypatch.setattr(command_line.Parser, "__init__", remember)
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    name = " ".join(["quicksilver", *command.split()])
    assert re.match(rf"usage: {name} \[-h\]", printed)
    parser = [parser for parser in parsers if parser.prog == name][-1]
    assert [action.dest for action in parser._actions if not action.help and not action.choices] == []
    assert max(map(len, printed.splitlines())) <= 80


def test_every_benchmark_is_in_the_list(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--help"])
    listed = set(re.findall(r"^ {4}([a-z-]+) ", capsys.readouterr().out, re.MULTILINE)) - {"BENCHMARK"}
    assert {f"bench {name}" for name in listed} <= {*COMMANDS, *WITH_TORCH}


@pytest.mark.parametrize("command", ["", "complete"])
def test_help_names_the_exit_codes(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for code in ("0", "1", "2", "3", "130"):
        assert re.search(rf"\b{code} ", printed.partition("Exit codes:")[2]), code
