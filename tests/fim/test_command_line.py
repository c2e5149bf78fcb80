"""What all command lines share: one-line errors with guesses, and models by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.models.embedded import CHECKPOINTS, EMBEDDED, find_model
from quicksilver.fim.terminal.arguments import Parser
from quicksilver.fim.terminal.options import Option, add_options, model_option


@dataclass(frozen=True, kw_only=True)
class AskedOptions:
    json: Annotated[bool, Option("print JSON")] = False
    policy: Annotated[str | None, Option("what to commit", choices=("threshold", "entropy"))] = None
    model: Annotated[Path | None, model_option()] = None


def parser():
    top = Parser(prog="tool")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    complete = commands.add_parser("complete")
    add_options(complete, AskedOptions)
    commands.add_parser("doctor")
    return top


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["complet"], "argument COMMAND: invalid choice: 'complet': did you mean complete? (see tool --help)"),
        (["xyz"], "argument COMMAND: invalid choice: 'xyz' (choose from complete, doctor) (see tool --help)"),
        (["complete", "--jsno"], "there is no option --jsno: did you mean --json? (see tool complete --help)"),
        (["complete", "--modle=x"], "there is no option --modle: did you mean --model? (see tool complete --help)"),
        (["doctor", "--json"], "there is no option --json (see tool doctor --help)"),
        (["doctor", "extra"], "there is no place for the argument 'extra' (see tool doctor --help)"),
        (
            ["complete", "--policy", "entopy"],
            "argument --policy: invalid choice: 'entopy': did you mean entropy? (see tool complete --help)",
        ),
        (
            ["complete", "--model", "nan"],
            "argument --model: there is no model nan: did you mean nano? (see tool complete --help)",
        ),
    ],
)
def test_a_wrong_word_is_one_line_with_a_guess(arguments, message):
    with pytest.raises(InputError) as raised:
        parser().parse_args(arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_model_goes_by_its_name(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model(name) == (CHECKPOINTS / name).resolve()
    assert find_model(f"./{name}") == tmp_path / name
    assert parser().parse_args(["complete", "--model", name]).model == (CHECKPOINTS / name).resolve()


def test_a_fetched_model_goes_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path))
    with pytest.raises(InputError, match="not on this machine yet: run `quicksilver fetch coder` first"):
        find_model("coder")
    folder = tmp_path / "models" / "coder"
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    assert find_model("coder") == folder


def test_a_gguf_file_is_a_model_and_other_files_are_none(tmp_path):
    (tmp_path / "a.gguf").touch()
    (tmp_path / "a.bin").touch()
    assert find_model(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"
    with pytest.raises(InputError, match="no checkpoint folder or GGUF file"):
        find_model(str(tmp_path / "a.bin"))


@pytest.mark.parametrize("name", ["./nowhere", "~no-such-user/x", "a\0b", "x" * 5000, "Nano", ""])
def test_no_such_model_is_an_input_error(name):
    with pytest.raises(InputError, match="there is no") as raised:
        find_model(name)
    assert len(str(raised.value)) < 400
