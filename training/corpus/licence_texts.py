"""Which permissive licences the text of a licence file grants, told by sentences that no other licence has."""

import re
from collections.abc import Iterable

from .licences import is_permissive

_BLANKS = re.compile(r"\s+")
_SENTENCES = {
    "MIT": (
        "permission is hereby granted, free of charge, to any person obtaining a copy",
        "copyright notice and this",
    ),
    "Apache-2.0": ("apache license", "version 2.0, january 2004"),
    "BSD-2-Clause": ("redistribution and use in source and binary forms", "this list of conditions"),
    "BSD-3-Clause": ("redistribution and use in source and binary forms", "endorse or promote products"),
    "ISC": ("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",),
}


def licences_in(texts: Iterable[str]) -> set[str]:
    """The SPDX identifiers of the licences whose texts these are; empty for unknown ones."""
    found: set[str] = set()
    for text in texts:
        flat = _BLANKS.sub(" ", text).lower()
        found |= {name for name, sentences in _SENTENCES.items() if all(each in flat for each in sentences)}
    return found


def grants(expression: str, texts: Iterable[str]) -> bool:
    """Whether an SPDX expression is permissive and licence files have the text of one of its licences."""
    return is_permissive(expression) and any(name in expression for name in licences_in(texts))
