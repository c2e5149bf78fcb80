"""One question of the editor, with all that is known when it is answered."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Self

from ...fim.reuse import Remembered
from ...fim.syntax import Syntax, parse
from ...fim.text import Document, PositionEncoding
from ...fim.types import Hole, Offer
from ...fim.typing_rhythm import Rhythm
from ..settings import Settings
from .answers import Answer, LastShown


async def every_language() -> None:
    """For callers without an engine: no language is excluded."""


@dataclass(frozen=True, kw_only=True)
class SelectedItem:
    """The item in the editor's menu that would replace start to end (offsets) if a person accepted it now."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known around a question besides its document.

    syntax is the document's tree, rhythm that of its latest edits. last is the text shown for the document's latest
    question, held a text that has not appeared yet: while the person types exactly that, its rest is the answer, at
    once. remembered are other answers that may be reused. snippets are texts from other files, most useful last; offers
    finds drafts there. model_languages asks the engine which languages the model completes while a
    person types.
    """

    syntax: Syntax | None = None
    rhythm: Rhythm | None = None
    last: LastShown | None = None
    held: LastShown | None = None
    remembered: Remembered[Answer] = field(default_factory=Remembered)
    snippets: tuple[str, ...] = ()
    offers: Callable[[Hole], tuple[Offer, ...]] = lambda hole: ()
    model_languages: Callable[[], Awaitable[Collection[str] | None]] = every_language


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request as it was when it arrived: the document of that moment, the cursor in code points.

    uri is the editor's name for what it asks about. is_open is False if the editor never opened that; then the document
    is empty. first_line is the line of the document at which the part that uri names begins: 0, except for a cell of a
    notebook. received_s is on the clock of `time.perf_counter`. selected is the item that an answer has to extend.
    indent is the editor's indentation of one level. encoding is that of the positions in the answer. settings and
    around are those of the moment at which the work on the answer begins.
    """

    id: str
    uri: str
    document: Document
    offset: int
    invoked: bool
    received_s: float
    is_open: bool = True
    first_line: int = 0
    selected: SelectedItem | None = None
    indent: str | None = None
    encoding: PositionEncoding = "utf-16"
    settings: Settings = field(default_factory=Settings)
    around: Surroundings = field(default_factory=Surroundings)

    def moved(self, document: Document, offset: int) -> Self:
        """The same question about another text of the document, of which less is known."""
        syntax = self.around.syntax
        if syntax is not None:
            syntax = parse(document.text, document.language, syntax, near=offset)
        around = replace(self.around, syntax=syntax, rhythm=None, last=None)
        return replace(self, document=document, offset=offset, around=around)
