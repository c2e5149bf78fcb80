"""What leaves this machine when a server elsewhere is asked: all of it is decided here.

That is the text around the hole, at most `ForeignEndpoint.context_chars` of it, and snippets if the endpoint wants
them. Never sent: the file's name, path and language, offers from other files, and anything of a file whose name is a
secret's.
"""

import re
from dataclasses import replace

from ...fim.errors import InputError
from ...fim.gating import is_secret
from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest, Hole
from .endpoint import ForeignEndpoint

_HALF = re.compile("[\ud800-\udfff]")


def outgoing_request(endpoint: ForeignEndpoint, request: CompletionRequest) -> CompletionRequest:
    """The request with no more than what may be sent; LF is the only line break, half characters are U+FFFD.

    Raises InputError for a secret file, and for what no server elsewhere can be asked.
    """
    if request.path and is_secret(request.path):
        raise InputError(f"the file looks like one that holds secrets: it is not sent to {endpoint.name}")
    if request.messages:
        raise InputError(f"{endpoint.name} fills holes, it is no chat")
    if request.log_probs:
        raise InputError(f"{endpoint.name} tells no probabilities of tokens")
    return replace(
        request,
        hole=_clip(request.hole, endpoint.context_chars),
        path="",
        snippets=_fit(request.snippets, endpoint.context_chars) if endpoint.snippets else (),
        offers=(),
        stop=tuple(map(clean_text, request.stop)),
    )


def clean_text(text: str) -> str:
    """The text with LF as its only line break, and U+FFFD for each half of a character, which JSON cannot carry."""
    text = with_lf(text)
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def _clip(hole: Hole, n_chars: int) -> Hole:
    """The hole with at most n_chars around it, a quarter of them on the right, or more if the left is short.

    A shortened prefix begins at a line, and its beginning moves in jumps: servers keep what they have read.
    """
    prefix, suffix = clean_text(hole.prefix), clean_text(hole.suffix)
    n_suffix = max(n_chars // 4, n_chars - len(prefix))
    suffix = suffix[:n_suffix]
    excess, jump = len(prefix) - (n_chars - len(suffix)), max(1, n_chars // 8)
    if excess > 0:
        start = min(-(-excess // jump) * jump, len(prefix))
        line_end = prefix.find("\n", start, start + jump)
        prefix = prefix[line_end + 1 if line_end >= 0 else start :]
    return replace(hole, prefix=prefix, suffix=suffix)


def _fit(snippets: tuple[str, ...], n_chars: int) -> tuple[str, ...]:
    """The last, most useful ones that have at most n_chars together."""
    kept: list[str] = []
    for snippet in reversed(snippets):
        n_chars -= len(snippet)
        if n_chars < 0:
            break
        kept.append(clean_text(snippet))
    return tuple(reversed(kept))
