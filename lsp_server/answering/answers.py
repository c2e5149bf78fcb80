"""An answer as a value, and the latest ones by id.

Owns what `textDocument/inlineCompletion` and `quicksilver/explain` say about an answer. It does not know pygls, the
engine or how an answer came about.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...fim.display import Displayed
from ...fim.reuse import Shown
from ...fim.text import Position
from ...fim.types import Completion

DID_ACCEPT = "quicksilver.didAccept"

Cause = Literal[
    "answered", "off", "snoozed", "closed", "gated", "engine", "checkpoint", "busy", "superseded", "stale", "unsure",
    "nothing",
]  # fmt: skip
Range = tuple[Position, Position]


@dataclass(frozen=True, kw_only=True)
class Item:
    """A text that the editor may insert, and where it goes, in the units that were negotiated."""

    text: str
    range: Range
    showing: Displayed | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the editor is told. text "" means that nothing is shown, and reason says why in one line.

    showing is what was chosen of completion. range is where text goes, in the units that were negotiated and in lines
    of the document, in which what uri names begins at first_line. others are further texts that a person who asked by
    hand may choose instead, the best first. cause sorts the reasons. timings_ms: "total" from arrival to answer =
    "engine" (in the engine) + "transport" (to it and back, waiting for its start included) + "trim" + "lsp" (the rest);
    with the engine's own "queue", "prefill" and "denoise". is_reused: this is an earlier answer, or what is left of one
    that the person has begun to type; completion is that one's, and so is shown_id, by which a text is known for as
    long as it is on show. at_s: when it was given, seconds since 1970.
    """

    id: str
    uri: str
    version: int | None
    cause: Cause
    reason: str | None = None
    text: str = ""
    range: Range | None = None
    showing: Displayed | None = None
    others: tuple[Item, ...] = ()
    completion: Completion | None = None
    is_reused: bool = False
    first_id: str = ""
    first_line: int = 0
    at_s: float = field(default_factory=time.time)
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def shown_id(self) -> str:
        """The id of the answer that this text, or one that it is the rest of, first came with."""
        return self.first_id or self.id

    @property
    def choices(self) -> tuple[Item, ...]:
        """All that is offered, the best first; () when there is nothing to show."""
        if not self.text or self.range is None:
            return ()
        return (Item(text=self.text, range=self.range, showing=self.showing), *self.others)

    def items(self) -> list[dict[str, Any]]:
        """The items of an `InlineCompletionList`: one or several, none when there is nothing to show."""
        return [
            {
                "insertText": item.text,
                "range": range_to_json(item.range, self.first_line),
                "command": {
                    "title": "Completion accepted",
                    "command": DID_ACCEPT,
                    "arguments": [{"id": self.id, "index": index}],
                },
            }
            for index, item in enumerate(self.choices)
        ]

    def explain(self) -> dict[str, Any]:
        """All that is known about the answer, as JSON values."""
        facts: dict[str, Any] = {
            "id": self.id,
            "uri": self.uri,
            "version": self.version,
            "cause": self.cause,
            "reason": self.reason,
            "text": self.text,
            "others": [item.text for item in self.others],
            "reused": self.is_reused,
            "range": None if self.range is None else range_to_json(self.range, self.first_line),
            "timings_ms": {name: round(ms, 3) for name, ms in self.timings_ms.items()},
        }
        if self.completion is not None:
            facts |= completion_to_json(self.completion)
        if self.showing is not None:
            facts |= {"confidence": self.showing.probability, "source": self.showing.source, "cut": self.showing.is_cut}
        return facts


@dataclass(frozen=True)
class LastShown:
    """The latest text that was shown in a document, and the engine's answer that it came from."""

    shown: Shown
    answer: Answer


class Answers:
    """The latest answers, by id; older ones are forgotten."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._by_id: OrderedDict[str, Answer] = OrderedDict()

    def add(self, answer: Answer) -> None:
        """Remember an answer."""
        self._by_id[answer.id] = answer
        while len(self._by_id) > self._limit:
            self._by_id.popitem(last=False)

    def latest(self, uri: str | None = None) -> Answer | None:
        """The latest answer, or the latest about uri; stopped questions do not count, a newer one followed."""
        for answer in reversed(self._by_id.values()):
            if uri in (None, answer.uri) and answer.cause not in ("superseded", "stale"):
                return answer
        return None

    def find(self, answer_id: str | None) -> Answer | None:
        """The answer of that id; the latest for None; None when there is none (any more)."""
        if answer_id is None:
            return next(reversed(self._by_id.values()), None)
        return self._by_id.get(answer_id)


def range_to_json(where: Range, first_line: int = 0) -> dict[str, dict[str, int]]:
    """An LSP Range, in a document that begins at that line of ours."""
    return {
        name: {"line": position.line - first_line, "character": position.character}
        for name, position in zip(("start", "end"), where, strict=True)
    }


def completion_to_json(completion: Completion) -> dict[str, Any]:
    """What the engine said, as JSON values; raw_text is its text before trimming."""
    return {
        "raw_text": completion.text,
        "confidence": completion.confidence,
        "source": completion.source,
        "finish_reason": completion.finish_reason,
        "steps": completion.steps,
        "n_tokens": completion.n_tokens,
        "model": completion.model,
        "n_context": completion.n_context,
        "n_cached": completion.n_cached,
        "trace": [
            {
                "step": frame.step,
                "elapsed_ms": round(frame.elapsed_ms, 3),
                "cells": [{"text": cell.text, "state": cell.state} for cell in frame.cells],
            }
            for frame in completion.trace
        ],
    }
