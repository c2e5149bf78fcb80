"""The item that is selected in the editor's own menu: an answer has to extend it and to replace the same range.

Makes the question about the text with that item in it, and turns its answer into one for the editor.
"""

from __future__ import annotations

from dataclasses import replace

from ...fim.engine import Engine
from ...fim.text import TextChange
from .answers import Answer, Item
from .completion import complete_inline
from .question import Question, SelectedItem
from .replies import nothing


async def complete(ask: Question, engine: Engine) -> Answer:
    """`complete_inline`, with an answer that extends the selected item, if any."""
    item = ask.selected
    return await (complete_inline(ask, engine) if item is None else _extend(ask, item, engine))


async def _extend(ask: Question, item: SelectedItem, engine: Engine) -> Answer:
    """The answer to a question with a selected item: items that begin with its text, or none."""
    document = ask.document
    is_at_cursor = item.start <= ask.offset <= item.end and document.line_of(item.start) == document.line_of(item.end)
    if not is_at_cursor:
        return nothing(ask, "gated", "the item that is selected in the menu is not at the cursor")
    start, end = (document.position_at(offset, "utf-32") for offset in (item.start, item.end))
    then = document.with_changes([TextChange(start, end, item.text)], document.version, "utf-32")
    question = replace(ask.moved(then, item.start + len(item.text)), selected=None)
    found = await complete_inline(question, engine)
    return _add_item(ask, item, found)


def _add_item(ask: Question, item: SelectedItem, found: Answer) -> Answer:
    """An answer after an accepted item, as one that inserts the item too.

    Texts that would replace more than the item does are left out: editors show only texts with the item's range.
    """
    where = (ask.document.position_at(item.start, ask.encoding), ask.document.position_at(item.end, ask.encoding))
    items = [
        Item(text=item.text + choice.text, range=where, showing=choice.showing)
        for choice in found.choices
        if choice.range[0] == choice.range[1]
    ]
    if items:
        first, *others = items
        return replace(found, text=first.text, range=where, showing=first.showing, others=tuple(others))
    reason = "no answer extends the item that is selected in the menu" if found.text else found.reason
    cause = "nothing" if found.text else found.cause
    return replace(found, text="", range=None, showing=None, others=(), cause=cause, reason=reason)
