"""What all command lines of ours share: errors in one line, guesses at misspelt words, `--model`.

It knows no command.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from ..models.embedded import NAMES, find_model

_KINDS = f"{', '.join(NAMES)}, a checkpoint folder, or a GGUF file"
ABOUT_MODEL = f"{_KINDS} (default: the best installed one that is fast enough on this machine)"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises InputError with one line, and guesses what a misspelt word was meant to be."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        raise InputError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, *arguments: Any, **named: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 (argparse's)
        """Arguments by name, and an empty list: what is not known is an error of this parser, not of the outermost."""
        found, rest = super().parse_known_args(*arguments, **named)
        if rest:
            self.error(self._unknown(rest[0]))
        return found, rest

    def _unknown(self, argument: str) -> str:
        word = argument.partition("=")[0]
        if not word.startswith("-"):
            return f"there is no place for the argument {word!r}"
        return f"there is no option {word}{did_you_mean(word, self._option_string_actions)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401 (argparse's own types)
        choices: Iterable[Any] | None = action.choices
        if choices is None or value in choices:
            return
        names = [str(choice) for choice in choices]
        advice = did_you_mean(str(value), names) or f" (choose from {', '.join(names)})"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{advice}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean …?` with the word that is closest, or nothing when none is close."""
    from difflib import get_close_matches  # only for who needs it: it delays the language server

    guess = get_close_matches(word, list(known), n=1)
    return f": did you mean {guess[0]}?" if guess else ""


def add_model(
    parser: argparse.ArgumentParser, *, about: str = ABOUT_MODEL, default: str | None = None, required: bool = False
) -> None:
    """Add `--model`: the name of a checkpoint of ours, a folder, or a GGUF file.

    Without a default the engine chooses; what compares models has one, so that it means the same everywhere.
    """
    about = about if default is None else f"{_KINDS} (default: {default})"
    parser.add_argument("--model", type=_model, metavar="MODEL", default=default, required=required, help=about)


def _model(text: str) -> Path:
    """find_model as argparse wants it: ArgumentTypeError becomes the parser's one line."""
    try:
        return find_model(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
