"""What happens to documents and questions, as told to observers.

Owns the lists of observers, which observers.py fills. It does not know what follows from an event.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from ..fim.text import Document
from .answering import Answer, Question
from .sessions import Session


@dataclass(frozen=True)
class Edit:
    """A document's session has gone on from the text before; the edit ended at offset, None where that is not known."""

    session: Session
    before: Document
    offset: int | None


@dataclass(frozen=True)
class Reply:
    """An answer that a document's session keeps as its latest; is_new: its text is not the rest of the one before."""

    session: Session
    question: Question
    answer: Answer
    is_new: bool


@dataclass(frozen=True)
class Events:
    """Observers, called in their order: when a document was opened, edited or closed; when a question was asked (before
    anything is decided), replied to, or answered in any way. during: contexts that last while a question is worked on.
    """

    opened: list[Callable[[Document], None]] = field(default_factory=list)
    edited: list[Callable[[Edit], None]] = field(default_factory=list)
    closed: list[Callable[[Session], None]] = field(default_factory=list)
    asked: list[Callable[[Question], None]] = field(default_factory=list)
    during: list[Callable[[], AbstractContextManager[None]]] = field(default_factory=list)
    replied: list[Callable[[Reply], None]] = field(default_factory=list)
    answered: list[Callable[[Question, Answer], None]] = field(default_factory=list)

    @contextmanager
    def working(self) -> Iterator[None]:
        """While a question is worked on."""
        with ExitStack() as stack:
            for begin in self.during:
                stack.enter_context(begin())
            yield
