"""Reads infilling marks: prompts in which a client wrote the special tokens that some model was taught infilling with.

Such a prompt says where the hole is, and often holds other files and the name of this one. Only marks at the outermost
places count, so that a file that spells some is not cut (decision 42). The texts between marks are not changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...fim.text.language_guess import language_of_path
from ...fim.types import MAX_SNIPPET_CHARS
from ...fim.workspace.declarations import comment_sign

EMPTY_SUFFIX = "<|endoftext|>"  # what Continue sends to Inception instead of an empty suffix


@dataclass(frozen=True, kw_only=True)
class MarkFamily:
    """The marks before the prefix, the suffix and the middle, as a family of models writes them.

    has_blanks: one blank before the other marks, and one after the first, belongs to the mark. closing may follow the
    middle mark.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    has_blanks: bool = False
    closing: str = ""


# With their middle mark. Prefix and suffix come in either order.
FAMILIES = (
    MarkFamily(name="qwen", prefix="<|fim_prefix|>", suffix="<|fim_suffix|>", middle="<|fim_middle|>"),
    MarkFamily(name="starcoder", prefix="<fim_prefix>", suffix="<fim_suffix>", middle="<fim_middle>"),
    MarkFamily(name="santacoder", prefix="<fim-prefix>", suffix="<fim-suffix>", middle="<fim-middle>"),
    MarkFamily(name="codellama", prefix="<PRE>", suffix="<SUF>", middle="<MID>", has_blanks=True),
    MarkFamily(name="deepseek", prefix="<｜fim▁begin｜>", suffix="<｜fim▁hole｜>", middle="<｜fim▁end｜>"),
    MarkFamily(name="deepseek-ascii", prefix="<|fim_begin|>", suffix="<|fim_hole|>", middle="<|fim_end|>"),
    MarkFamily(
        name="glm", prefix="<|code_prefix|>", suffix="<|code_suffix|>", middle="<|code_middle|>",
        closing="<|assistant|>",
    ),
    MarkFamily(name="seed", prefix="<[fim-prefix]>", suffix="<[fim-suffix]>", middle="<[fim-middle]>"),
)  # fmt: skip
# Without a middle mark: the suffix first, then the prefix to the prompt's end.
CODESTRAL = MarkFamily(name="codestral", prefix="[PREFIX]", suffix="[SUFFIX]", middle="")

_OPENINGS = ("<s>", "<bos>", "<|endoftext|>", "<｜begin▁of▁sentence｜>", "<|user|>\n", "<|user|>")
_REPOSITORY_MARKS = ("<|repo_name|>", "<repo_name>", "<reponame>")
_FILE_MARKS = ("<|file_sep|>", "<|file_separator|>", "<file_sep>", "<filename>")
_CHUNKS, _HEADER = "Context:\n\n", "+++++ "  # of llama.vscode; of Codestral
_REFERENCE, _PATH, _MODE = "###REFERENCE:\n", "###PATH:", "###MODE:"  # of CodeGeeX


@dataclass(frozen=True, kw_only=True)
class ContextFile:
    """A text that stands before the marks, and its file's name ("" if it has none)."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class MarkedPrompt:
    """What a prompt with marks says: the texts around the hole, the path of their file, and other texts.

    family is "" for a prompt without marks.
    """

    prefix: str
    suffix: str
    path: str = ""
    files: tuple[ContextFile, ...] = ()
    family: str = ""

    @property
    def snippets(self) -> tuple[str, ...]:
        """The other texts as snippets, each below a comment with its file's name, as the language server writes them;
        those that are too long in pieces of whole lines."""
        return tuple(piece for file in self.files for piece in _pieces(_titled(file)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the other texts' files."""
        return tuple(file.name for file in self.files if file.name)


def split_prompt(prompt: str, suffix: str | None = None, *, infilling_marks: bool = True) -> MarkedPrompt:
    """The texts around the hole. With a suffix, even an empty one, or without infilling_marks, marks are only text."""
    if suffix is None and infilling_marks:
        return read_marks(prompt) or MarkedPrompt(prefix=prompt, suffix="")
    return MarkedPrompt(prefix=prompt, suffix="" if suffix == EMPTY_SUFFIX else suffix or "")


def read_marks(prompt: str) -> MarkedPrompt | None:
    """What the marks in a prompt say; None if it has none at the outermost places.

    A prompt must have all three marks of a family (Codestral's two). The last middle mark counts; what follows it was
    begun already, and continues the prefix. Of two families, the one whose middle mark comes last counts.
    """
    found = _split_codestral(prompt)
    if found is not None:
        return found
    at = {family: prompt.rfind(family.middle) for family in FAMILIES}
    last_first = sorted((family for family in FAMILIES if at[family] >= 0), key=lambda each: -at[each])
    return next((found for family in last_first if (found := _split(prompt, family, at[family])) is not None), None)


def _split(prompt: str, family: MarkFamily, end: int) -> MarkedPrompt | None:
    """The prompt split at the marks of a family, of which the middle one stands at end."""
    starts = {mark: prompt.find(mark, 0, end) for mark in (family.prefix, family.suffix)}
    if min(starts.values()) < 0:
        return None
    first, second = sorted(starts, key=lambda mark: starts[mark])
    cut = _outermost(prompt, first, second, starts[first], end)
    if cut is None:
        return None
    context = _read_context(_without_opening(prompt[: starts[first]]))
    begun = prompt[end + len(family.middle) :].removeprefix(family.closing)
    begun = "" if begun == "\n" else begun  # the end of a template
    if begun and not context.is_known:
        return None  # a file that spells all three marks
    texts = {first: prompt[starts[first] + len(first) : cut], second: prompt[cut + len(second) : end]}
    if family.has_blanks:
        texts[first] = texts[first].removeprefix(" ")
        texts = {mark: text.removesuffix(" ") for mark, text in texts.items()}
    return MarkedPrompt(
        prefix=texts[family.prefix] + begun,
        suffix=texts[family.suffix],
        path=context.path,
        files=context.files,
        family=family.name,
    )


def _outermost(prompt: str, first: str, second: str, start: int, end: int) -> int | None:
    """Where the second mark stands that belongs to the first one, at start: as many second marks as first ones may
    stand between, which a text spells. If there is none, the second mark that comes next; None if none does."""
    n_open, at, nearest = 0, start, None
    while (second_at := prompt.find(second, at, end)) >= 0:
        n_open += prompt.count(first, at, second_at) - 1
        nearest = second_at if nearest is None else nearest
        if n_open == 0:
            return second_at
        at = second_at + len(second)
    return nearest


def _split_codestral(prompt: str) -> MarkedPrompt | None:
    text = _without_opening(prompt)
    if not text.startswith(CODESTRAL.suffix):
        return None
    suffix, mark, prefix = text.removeprefix(CODESTRAL.suffix).partition(CODESTRAL.prefix)
    if not mark:
        return None
    files: list[ContextFile] = []
    path = ""
    if prefix.startswith(_HEADER):
        *others, own = ("\n\n" + prefix).split("\n\n" + _HEADER)[1:]
        files = [_named(other) for other in others]
        path, _, prefix = own.partition("\n")
    return MarkedPrompt(prefix=prefix, suffix=suffix, path=path.strip(), files=_not_blank(files), family=CODESTRAL.name)


@dataclass(frozen=True)
class _Lead:
    """What stands before the first mark; is_known: in a form that a client writes."""

    files: tuple[ContextFile, ...] = ()
    path: str = ""
    is_known: bool = True


def _read_context(text: str) -> _Lead:
    if not text.strip():
        return _Lead()
    if text.startswith(_CHUNKS):
        return _Lead(_not_blank([ContextFile(name="", text=text.removeprefix(_CHUNKS))]))
    if _PATH in text and _MODE in text:
        return _codegeex_context(text)
    start, mark = min(((at, mark) for mark in _FILE_MARKS if (at := text.find(mark)) >= 0), default=(len(text), ""))
    head = text[:start]
    in_repository = head.startswith(_REPOSITORY_MARKS)
    if in_repository:
        head = head.partition("\n")[2]
    files = [ContextFile(name="", text=head)]
    if not mark:
        return _Lead(_not_blank(files), is_known=in_repository)
    *others, own = text[start + len(mark) :].split(mark)
    last = _named(own)
    if last.text.strip():  # no name of this file
        return _Lead(_not_blank([*files, *map(_named, others), last]))
    return _Lead(_not_blank([*files, *map(_named, others)]), last.name)


def _codegeex_context(text: str) -> _Lead:
    references, _, own = text.rpartition(_PATH)
    files = [_named(each.strip("\n").removeprefix(_PATH)) for each in references.split(_REFERENCE)]
    return _Lead(_not_blank(files), own.partition("\n")[0].strip())


def _named(text: str) -> ContextFile:
    """A file whose first line is its name, or, if that line does not look like one, a text without a name."""
    line, _, rest = text.partition("\n")
    name = line.strip()
    is_name = 0 < len(name) <= 1_024 and not set(name) & set("(){}=;\"'`<>*")
    return ContextFile(name=name, text=rest) if is_name else ContextFile(name="", text=text)


def _not_blank(files: Sequence[ContextFile]) -> tuple[ContextFile, ...]:
    return tuple(replace(file, text=file.text.strip("\n")) for file in files if file.text.strip())


def _without_opening(text: str) -> str:
    for opening in _OPENINGS:
        text = text.removeprefix(opening)
    return text


def _titled(file: ContextFile) -> str:
    return f"{comment_sign(language_of_path(file.name))} {file.name}\n{file.text}" if file.name else file.text


def _pieces(text: str) -> list[str]:
    """text in pieces of at most MAX_SNIPPET_CHARS, cut at line breaks where there are some."""
    pieces = []
    while len(text) > MAX_SNIPPET_CHARS:
        cut = text.rfind("\n", 1, MAX_SNIPPET_CHARS) + 1 or MAX_SNIPPET_CHARS
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text] if text.strip() else pieces
