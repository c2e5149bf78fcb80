"""How a hole becomes context tokens: most stable first, so that cached states outlive keystrokes.

Our own models: ``[BOS][language][PATH] path [SNIPPET] snippet … [SUFFIX] suffix [PREFIX] prefix | canvas``. Published
bodies, in their own marks: ``[repository][file] snippet … [file] path [prefix][suffix] suffix [middle] prefix |``, or
in the order prefix, suffix, middle.

Windows move in coarse jumps: while the user types, only the end of the context changes. Knows tokens, not tensors.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, lru_cache

from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest
from ..special_tokens import Special
from ..tokenizers.body_tokenizer import BodyTokenizer
from ..tokenizers.code_tokenizer import CodeTokenizer
from ..tokenizers.text_tokenizer import TextTokenizer

N_PATH_MAX = 24
N_CHARS_PER_TOKEN = 8  # generous: a window of text this long surely fills the token budget of ordinary code
SUFFIX_SHARE = 0.3
SNIPPET_SHARE = 0.25
JUMP_SHARE = 0.25  # the prefix window moves by this share of itself at a time


N_REMEMBERED = 64  # texts whose tokens are remembered: a few documents' prefixes and suffixes


class ContextLayout(ABC):
    """Builds contexts with one tokenizer."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._remembered = lru_cache(N_REMEMBERED)(lambda text: tuple(tokenizer.encode(text)))

    @abstractmethod
    def head(self, language: str, path: str, snippets: Sequence[Sequence[int]] = ()) -> list[int]:
        """The opening tokens: what is known of the file, and snippets of others, the most useful last."""

    @abstractmethod
    def join(self, head: Sequence[int], suffix: Sequence[int], prefix: Sequence[int]) -> list[int]:
        """Head, suffix and prefix as one context."""

    def encode(self, text: str) -> list[int]:
        """What the tokenizer gives for text; only what stands right of its last break is likely to be new.

        A prefix of 7,000 characters took 1.8 ms at every key before (2-core AMD EPYC, 2026-11-21).
        """
        at = self._tokenizer.last_boundary(text)
        return [*self._remembered(text[:at]), *self._tokenizer.encode(text[at:])]

    def context(self, request: CompletionRequest, n_tokens: int) -> list[int]:
        """The context of a request, at most n_tokens long. Line breaks of any kind become LF."""
        hole = request.hole
        snippets = self._snippets(request.snippets, int(n_tokens * SNIPPET_SHARE))
        head = self.head(hole.language, request.path, snippets)
        room = n_tokens - len(head) - 2
        suffix = self._suffix(with_lf(hole.suffix), int(room * SUFFIX_SHARE))
        text = with_lf(hole.prefix)
        prefix = self._prefix(text.removesuffix(self._tokenizer.open_piece(text)), room - len(suffix))
        return self.join(head, suffix, prefix)

    def _snippets(self, snippets: Sequence[str], room: int) -> list[list[int]]:
        kept: list[list[int]] = []
        for snippet in reversed(snippets):  # the most useful is last
            tokens = list(self._remembered(with_lf(snippet[: room * N_CHARS_PER_TOKEN]))[: max(0, room - 1)])
            if not tokens:
                break
            kept.insert(0, tokens)
            room -= len(tokens) + 1
        return kept

    def _suffix(self, text: str, room: int) -> list[int]:
        return list(self._remembered(text[: room * N_CHARS_PER_TOKEN])[:room])

    def _prefix(self, text: str, room: int) -> list[int]:
        """The last tokens of text, from a window start that depends on the text's length only in coarse jumps."""
        jump = max(1, int(room * JUMP_SHARE))
        start = _jumps(len(text) - room * N_CHARS_PER_TOKEN, jump * N_CHARS_PER_TOKEN)
        if start:
            line = text.find("\n", start)
            start = line + 1 if 0 <= line < start + jump * N_CHARS_PER_TOKEN // 2 else start
        tokens = self.encode(text[start:])
        return tokens[_jumps(len(tokens) - room, jump) :]


class OwnLayout(ContextLayout):
    """The layout of our own models."""

    def __init__(self, tokenizer: CodeTokenizer) -> None:
        super().__init__(tokenizer)
        self.tokenizer = tokenizer

    def head(self, language: str, path: str, snippets: Sequence[Sequence[int]] = ()) -> list[int]:
        """BOS, language, the path's last part, and snippets."""
        special = self.tokenizer.special
        head = [special(Special.BOS), self.tokenizer.language(language), special(Special.PATH)]
        head += self.tokenizer.encode(path.replace("\\", "/"))[-N_PATH_MAX:]
        return [*head, *(token for snippet in snippets for token in (special(Special.SNIPPET), *snippet))]

    def join(self, head: Sequence[int], suffix: Sequence[int], prefix: Sequence[int]) -> list[int]:
        """Head (with any snippets), suffix and prefix as one context."""
        special = self.tokenizer.special
        return [*head, special(Special.SUFFIX), *suffix, special(Special.PREFIX), *prefix]


class BodyLayout(ContextLayout):
    """The layout of a published body, in the marks that it was taught infilling with.

    Most were taught prefix, suffix, middle; then every key changes what stands before the suffix, and the suffix is
    read anew. A body that was taught suffix first (`Marks.suffix_first`) reads only what was typed.
    """

    def __init__(self, tokenizer: BodyTokenizer) -> None:
        super().__init__(tokenizer)
        self.tokenizer = tokenizer

    def head(self, language: str, path: str, snippets: Sequence[Sequence[int]] = ()) -> list[int]:
        """Snippets as files of a repository, and the path's last part; nothing where the model has no such marks."""
        marks, encode = self.tokenizer.marks, self.tokenizer.encode
        if marks.file is None:
            return []
        repository = [] if marks.repository is None or not snippets else [marks.repository, *self._line_break]
        files = [token for snippet in snippets for token in (marks.file, *snippet, *self._line_break)]
        name = path.replace("\\", "/")
        own = [marks.file, *encode(name)[-N_PATH_MAX:], *self._line_break] if name else []
        return [*repository, *files, *own]

    def join(self, head: Sequence[int], suffix: Sequence[int], prefix: Sequence[int]) -> list[int]:
        """Head, suffix and prefix as one context; what follows is the middle."""
        marks = self.tokenizer.marks
        if not marks.suffix_first:
            return [*head, *marks.around(prefix, suffix)]
        return [*head, marks.prefix, marks.suffix, *suffix, marks.middle, *prefix]

    @cached_property
    def _line_break(self) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode("\n"))


def layout_of(tokenizer: TextTokenizer) -> ContextLayout:
    """The layout that goes with a tokenizer. Raises TypeError for a kind that has none."""
    if isinstance(tokenizer, CodeTokenizer):
        return OwnLayout(tokenizer)
    if isinstance(tokenizer, BodyTokenizer):
        return BodyLayout(tokenizer)
    raise TypeError(f"no layout goes with a {type(tokenizer).__name__}")


def _jumps(excess: int, jump: int) -> int:
    """The smallest multiple of jump that is at least excess; 0 if nothing is in excess."""
    return max(0, -(-excess // jump)) * jump
