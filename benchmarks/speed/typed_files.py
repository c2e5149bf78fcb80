"""Files to type in: one with a stretch cut out, and one of any length."""

import math

from ...fim.errors import InputError
from ...fim.text.document import Document


def cut_stretch(document: Document, n_keys: int) -> tuple[Document, int, str]:
    """The document without a stretch from its middle, the offset of the stretch, and its first n_keys characters.

    The stretch begins at a line's start and is taken out up to a line's end. Raises InputError for a file too short.
    """
    middle = document.line_start(document.line_count * 2 // 5)
    start = min(middle, max(0, document.line_start(document.line_of(max(0, len(document.text) - n_keys - 1)))))
    typed = document.text[start : start + n_keys]
    if len(typed) < n_keys:
        raise InputError(f"the file has {len(document.text)} characters, too few to type {n_keys} of them")
    end = document.line_end(document.line_of(start + n_keys))
    text = document.text[:start] + document.text[max(end, start + n_keys) :]
    return Document(uri=document.uri, version=1, language=document.language, text=text), start, typed


def enlarge(document: Document, n_lines: int) -> Document:
    """The same lines, over and over, as one file of n_lines lines."""
    repeats = math.ceil(n_lines / max(1, document.line_count - 1))
    lines = (document.text.rstrip("\n") + "\n").split("\n")[:-1] * repeats
    text = "\n".join(lines[:n_lines])
    return Document(uri=document.uri + "-large.py", version=1, language=document.language, text=text)
