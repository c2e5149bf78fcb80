"""Ends answers where llama.cpp's clients want them to end: before a line that is indented too little, and at a line
break when the time is over."""

import dataclasses
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ..call import ApiAnswer, Piece, TextPiece


def cut_at_indent(text: str, n_indent: int) -> str:
    """text before the first line that is indented by fewer than n_indent blanks and tabs.

    The line that the cursor is in does not count, nor do blank lines, but none stays at the end of a text that is cut.
    """
    lines = text.split("\n")
    for i, line in enumerate(lines[1:], 1):
        if line.strip() and len(line) - len(line.lstrip(" \t")) < n_indent:
            return "\n".join(lines[:i]).rstrip()
    return text


def cut_answer(answer: ApiAnswer, n_indent: int) -> ApiAnswer:
    """The answer, cut at a line that is indented by less than n_indent. One that was stopped by its budget ends with
    its last whole line, if it has one."""
    text = cut_at_indent(answer.text, n_indent)
    if text == answer.text and answer.completion.finish_reason == "budget" and answer.stopped_by is None:
        whole = text.rpartition("\n")[0]
        text = whole if whole.strip() else text
    if text == answer.text:
        return answer
    return dataclasses.replace(answer, text=text, end_reason="length", stopped_by=None)


async def cut_pieces(found: AsyncGenerator[Piece], n_indent: int) -> AsyncGenerator[Piece]:
    """The pieces of answers, each cut at a line that is indented by less than n_indent. Closing this closes found."""
    texts: dict[int, str] = {}  # all of an answer so far, and how much of it was passed on
    n_sent: dict[int, int] = {}
    async with aclosing(found):
        async for piece in found:
            if not n_indent or not isinstance(piece, TextPiece | ApiAnswer):
                yield piece
                continue
            index, before = piece.index, n_sent.get(piece.index, 0)
            if isinstance(piece, ApiAnswer):
                text = cut_at_indent(piece.text, n_indent)
            else:
                texts[index] = texts.get(index, "") + piece.text
                text = cut_at_indent(texts[index], n_indent).rstrip()  # white space may be what is cut off
            if len(text) > before:
                yield TextPiece(index=index, text=text[before:])
            n_sent[index] = max(before, len(text))
            if isinstance(piece, ApiAnswer):
                reason = piece.end_reason if text == piece.text else "length"
                stopped_by = piece.stopped_by if text == piece.text else None
                yield dataclasses.replace(piece, text=text, end_reason=reason, stopped_by=stopped_by)
