"""Options written once: the fields of a dataclass as arguments, their help and their bounds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.models.embedded import CHECKPOINTS
from quicksilver.fim.terminal.arguments import Parser
from quicksilver.fim.terminal.options import Option, add_options, model_option, read_command_line, read_options


@dataclass(frozen=True, kw_only=True)
class InnerPlan:
    runtime: Annotated[Literal["torch", "openvino"] | None, Option("what runs it")] = None
    cache_mb: Annotated[int | None, Option("of memory", metavar="N", least=0, most=2**20)] = None

    def __post_init__(self):
        if self.runtime == "openvino" and self.cache_mb == 0:
            raise InputError("openvino needs a cache")


@dataclass(frozen=True, kw_only=True)
class OuterPlan:
    files: Annotated[tuple[Path, ...], Option("to read", metavar="FILE", positional=True)]
    name: Annotated[str, Option("of it")]
    inner: InnerPlan = field(default_factory=InnerPlan)
    n_keys: Annotated[int, Option("to type", least=1, most=10_000)] = 200
    minutes: Annotated[float | None, Option("to run", group="end", above=0, most=1_000_000)] = None
    steps: Annotated[int | None, Option("to do", group="end", above=0)] = None
    idle_minutes: Annotated[float, Option("to wait", least=0)] = 30.0
    lengths: Annotated[tuple[int, ...], Option("in tokens", commas=True, least=1, most=64)] = (4, 8)
    sizes: Annotated[tuple[str, ...], Option("of models", commas=True, choices=("nano", "base"))] = ()
    programs: Annotated[tuple[str, ...], Option("to start", flag="--nvim", repeats=True)] = ("nvim",)
    yarn: Annotated[bool, Option("stretch positions")] = False
    model: Annotated[Path, model_option(default="nano")]
    seed: int = 3


def read(*argv):
    return read_command_line(OuterPlan, [*argv, "a", "b", "--name", "x", "--steps", "1"], prog="tool", description="")


def test_what_is_not_given_is_the_dataclasss_default():
    nano = (CHECKPOINTS / "nano").resolve()
    assert read() == OuterPlan(files=(Path("a"), Path("b")), name="x", steps=1, model=nano)


def test_values_get_the_types_of_their_fields():
    plan = read(
        "--keys", "7", "--runtime", "torch", "--cache-mb", "5", "--idle-minutes", "0", "--lengths", "1, 2",
        "--lengths", "64", "--sizes", "base,nano,base", "--nvim", "one", "--nvim", "two,three", "--yarn",
    )  # fmt: skip
    assert (plan.n_keys, plan.inner, plan.idle_minutes) == (7, InnerPlan(runtime="torch", cache_mb=5), 0.0)
    assert (plan.lengths, plan.sizes, plan.programs) == ((1, 2, 64), ("base", "nano"), ("one", "two,three"))
    assert plan.yarn and plan.seed == 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--keys", "0"], "--keys must be from 1 to 10000, not 0"),
        (["--keys", "9" * 400], f"--keys must be from 1 to 10000, not {'9' * 400}"),
        (["--keys", "x"], "argument --keys: invalid int value: 'x' (see tool --help)"),
        (["--cache-mb", "-1"], "--cache-mb must be from 0 to 1,048,576, not -1"),
        (["--idle-minutes", "nan"], "--idle-minutes must be a number, at least 0, not nan"),
        (["--idle-minutes", "inf"], "--idle-minutes must be a number, at least 0, not inf"),
        (["--steps", "0"], "--steps must be positive, not 0"),
        (["--lengths", "1,65"], "--lengths must be numbers from 1 to 64 with commas between, not '1,65'"),
        (["--lengths", "1,"], "--lengths must be numbers from 1 to 64 with commas between, not '1,'"),
        (["--sizes", "nano,7b"], "--sizes must be nano, base, with commas between, not 'nano,7b'"),
        (["--runtime", "tensorflow"], "argument --runtime: invalid choice: 'tensorflow'"),
        (["--runtime", "openvino", "--cache-mb", "0"], "openvino needs a cache"),
        (["--model", "/nowhere"], "argument --model: there is no checkpoint folder or GGUF file /nowhere"),
        (["--minutes", "1"], "not allowed with argument"),
        (["--seed", "1"], "there is no option --seed"),
    ],
)
def test_a_wrong_value_is_one_line(argv, message):
    with pytest.raises(InputError) as raised:
        read_command_line(OuterPlan, ["a", "--name", "x", "--steps", "1", *argv], prog="tool", description="")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("argv", "missing"), [(["a", "--steps", "1"], "--name"), (["a", "--name", "x"], "--minutes --steps")]
)
def test_what_has_no_default_must_be_given(argv, missing):
    with pytest.raises(InputError, match=missing):
        read_command_line(OuterPlan, argv, prog="tool", description="")


def test_the_help_names_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        read_command_line(OuterPlan, ["--help"], prog="tool", description="It does things.")
    printed = " ".join(capsys.readouterr().out.split())
    for line in (
        "--keys KEYS to type (200)",
        "to wait (30)",
        "in tokens (4,8)",
        "--cache-mb N of memory --keys",
        "FILE to read",
    ):
        assert line in printed
    assert "(default: nano)" in printed and "(False)" not in printed and "()" not in printed


@dataclass(frozen=True, kw_only=True)
class PlacePlan:
    editor: Annotated[str, Option("one of two", choices=("nvim", "emacs"), nargs="?", positional=True)] = "nvim"
    files: Annotated[tuple[Path, ...], Option("to type", nargs="*", positional=True)] = (Path("x"),)


@pytest.mark.parametrize(
    ("argv", "plan"),
    [
        ([], PlacePlan()),
        (["emacs"], PlacePlan(editor="emacs")),
        (["emacs", "a", "b"], PlacePlan(editor="emacs", files=(Path("a"), Path("b")))),
    ],
)
def test_places_may_be_left_out(argv, plan):
    assert read_command_line(PlacePlan, argv, prog="tool", description="") == plan


def test_two_dataclasses_share_a_parser():
    parser = Parser(prog="tool")
    add_options(parser, InnerPlan)
    parser.add_argument("--json")
    found = parser.parse_args(["--json", "f", "--cache-mb", "1"])
    assert (found.json, read_options(InnerPlan, found)) == ("f", InnerPlan(cache_mb=1))
