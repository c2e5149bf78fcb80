"""The parser of all our command lines: errors in one line, guesses at misspelt words."""

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from ..errors import InputError


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
