"""Data by LSP language id: how comments, strings and characters are written on a line, and which words close blocks."""

import re
from dataclasses import dataclass

# A character in single quotes, if a lone apostrophe is something else: a lifetime, a label, a digit separator.
_CHARACTER = r"'(?:\\.[^'\n]{0,8}|[^'\\\n])'"
BLOCK_COMMENTS = {"/*": "*/", "<!--": "-->"}
_HASH = r"(?<!\S)#"  # not inside a word: `$#` and `a#b` hold no comment


@dataclass(frozen=True)
class LineMarks:
    """Regular expressions for the beginning of a line comment, for that of a string, and for text to skip; carried are
    the strings that may continue on the next line."""

    comment: str
    quotes: str
    passed: str = ""
    block_comment: str = ""
    carried: frozenset[str] = frozenset({"'''", '"""', "*/", "-->"})

    @property
    def tokens(self) -> str:
        """All that matters outside strings and comments, as one regular expression."""
        comment = f"(?P<comment>{self.comment})" if self.comment else ""
        parts = (self.passed, r"\\.", self.block_comment, comment, self.quotes, r"[()\[\]{}]")
        return "|".join(part for part in parts if part)


_PYTHON = LineMarks("#", r"\"\"\"|'''|[\"']")
_SLASHES = LineMarks("//", r"\"\"\"|\"", _CHARACTER, block_comment=r"/\*")
_SCRIPT = LineMarks("//", "[\"'`]", block_comment=r"/\*", carried=frozenset({"`", "*/"}))
_STYLES = LineMarks(r"(?<![:\w])//", "[\"']", block_comment=r"/\*")
_MARKS = {
    "python": _PYTHON,
    **dict.fromkeys(("java", "kotlin", "csharp", "c", "cpp", "rust"), _SLASHES),
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact"), _SCRIPT),
    "go": LineMarks("//", '["`]', _CHARACTER, block_comment=r"/\*", carried=frozenset({"`", "*/"})),
    "php": LineMarks(rf"//|{_HASH}(?!\[)", "[\"']", block_comment=r"/\*"),
    "shellscript": LineMarks(_HASH, "[\"']"),
    "ruby": LineMarks(_HASH, "[\"']", r"\$[\"']"),
    "sql": LineMarks("--", "[\"']", block_comment=r"/\*"),
    "html": LineMarks("", '"', block_comment="<!--"),
    "css": LineMarks("", "[\"']", block_comment=r"/\*"),
    "scss": _STYLES,
    "less": _STYLES,
    "json": LineMarks("", '"'),
    "jsonc": LineMarks("//", '"', block_comment=r"/\*"),
    "yaml": LineMarks(_HASH, r"(?<![\w)\]}.])[\"']"),
    "markdown": LineMarks("", ""),
}


_TOKENS = {marks: re.compile(marks.tokens) for marks in {_PYTHON, *_MARKS.values()}}


def marks_of(language: str) -> LineMarks:
    """The marks of a language; Python's for an unknown one."""
    return _MARKS.get(language, _PYTHON)


def tokens_of(language: str) -> re.Pattern[str]:
    """The tokens that matter in a line outside strings: signs, the beginnings of strings and comments."""
    return _TOKENS[marks_of(language)]


# The beginning of a field with code in a string, closed by a brace; Python's depend on the string's prefix.
FIELDS = {
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact", "kotlin", "shellscript"), "${"),
    "ruby": "#{", "php": "{$", "csharp": "{",
}  # fmt: skip
# Words that end a block that another word began, in languages with such blocks.
CLOSING_WORDS = {"ruby": frozenset({"end"}), "shellscript": frozenset({"fi", "done", "esac"})}
# Languages in which a brace holds entries rather than statements.
BRACES_OF_ENTRIES = frozenset({"python", "json", "jsonc", "yaml"})
