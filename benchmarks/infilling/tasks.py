"""One task of an infilling benchmark: the hole that a decoder sees, and how its answer is inserted, run and compared.

A benchmark of whole lines (single-line, multi-line) says by its kind that a line break ends the hole. Whether every
decoder is given that line break in the suffix, or has to write it, is the caller's choice and part of the result.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..quality.decoders import Attempt
from ..quality.holes import Kind, Task
from ..quality.scores import filling, judge
from ..sandbox.execution import Program, Run

Same = Callable[[Task, str], bool]
"""(hole, text put into it) → whether that is what stood there."""

MBPP_STOPS = ("assert ", "print(", "if __name__", '"""', "'''", "```")


@dataclass(frozen=True, kw_only=True)
class Check:
    """What is run: before + the answer + after, with runs, if any, as input and output."""

    before: str
    after: str
    runs: tuple[Run, ...] = ()


def as_it_is(text: str) -> str:
    """The answer unchanged: for decoders that end by themselves."""
    return text


def same_text(hole: Task, text: str) -> bool:
    """Equal, but for blanks at the end where the hole ended with a line."""
    return judge(hole, Attempt(text), None).exact


def same_stripped(hole: Task, text: str) -> bool:
    """Equal, but for blanks at both ends (SantaCoder-FIM's exact match)."""
    return text.strip() == hole.truth.strip()


def same_squeezed(hole: Task, text: str) -> bool:
    """Equal, but for all white space (SAFIM's match where nothing is run)."""
    return re.sub(r"\s+", "", text) == re.sub(r"\s+", "", hole.truth)


@dataclass(frozen=True, kw_only=True)
class InfillTask:
    """One task: name (task_id), the benchmark whose table it belongs to, the problem that it was cut from.

    line_break is what follows the answer without being asked for; cut shortens an answer that goes on too long (left to
    right). check is None if nothing is run: then only same counts.
    """

    name: str
    benchmark: str
    base: str
    hole: Task
    check: Check | None = None
    line_break: str = ""
    cut: Callable[[str], str] = as_it_is
    same: Same = same_text

    def filled(self, answer: Attempt) -> str:
        """The part of an answer that is put into the hole."""
        return self.cut(filling(self.hole, answer))

    def program(self, text: str) -> Program | None:
        """The program with text in the hole; None if nothing is run."""
        if self.check is None:
            return None
        source = self.check.before + text + self.line_break + self.check.after
        return Program(source=source, runs=self.check.runs, language=self.hole.language)


def hole_of_lines(
    base: str, prefix: str, suffix: str, truth: str, kind: Kind, *, gives_break: bool, language: str = "python"
) -> tuple[Task, str]:
    """A hole of whole lines, and the line break that is given after it.

    Where it is not given, the answer has to bring it, so that even one line is asked for as several.
    """
    if not gives_break:
        return Task(base, "", prefix, suffix, truth, "multi-line", language), ""
    return Task(base, "", prefix, "\n" + suffix, truth.removesuffix("\n"), kind, language), "\n"


def function_body(text: str) -> str:
    """text up to the first line, but its own first, that begins at the left margin: there a function's body ends."""
    lines = text.split("\n")
    kept = next((i for i, line in enumerate(lines) if i and line[:1].strip()), len(lines))
    return "\n".join(lines[:kept])


def module_body(text: str) -> str:
    """text up to the first line that begins as tests and prose do after a solution (MBPP_STOPS)."""
    lines = text.split("\n")
    kept = next((i for i, line in enumerate(lines) if i and line.startswith(MBPP_STOPS)), len(lines))
    return "\n".join(lines[:kept])
