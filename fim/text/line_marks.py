"""How each language writes comments, strings and characters on a line, and which words close its blocks: data.

Owns marks and words by LSP language id. It does not know how lines are read (`line_scan.py`) or grammars.
"""

import re
from dataclasses import dataclass

# A character in single quotes, where an apostrophe alone is something else: a lifetime, a label, a digit separator.
_CHARACTER = r"'(?:\\.[^'\n]{0,8}|[^'\\\n])'"
BLOCK_COMMENTS = {"/*": "*/", "<!--": "-->"}
_HASH = r"(?<!\S)#"  # a sign of its own: `$#` and `a#b` hold no comment


@dataclass(frozen=True)
class LineMarks:
    """Regular expressions of what begins a comment that ends with its line, of what begins a string, and of what is
    passed over; carried are the strings that may go on on the next line."""

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
    """How a language writes its lines; as Python does where nothing is known."""
    return _MARKS.get(language, _PYTHON)


def tokens_of(language: str) -> re.Pattern[str]:
    """What matters in a line outside strings: signs, the beginnings of strings and comments."""
    return _TOKENS[marks_of(language)]


# What begins a field with code in a string, closed by a brace; Python's depend on the string's first letter.
FIELDS = {
    **dict.fromkeys(("javascript", "javascriptreact", "typescript", "typescriptreact", "kotlin", "shellscript"), "${"),
    "ruby": "#{", "php": "{$", "csharp": "{",
}  # fmt: skip
# Words that end what another word began, in languages where such blocks have no brackets.
CLOSING_WORDS = {"ruby": frozenset({"end"}), "shellscript": frozenset({"fi", "done", "esac"})}
# Languages in which a brace holds entries rather than statements.
BRACES_OF_ENTRIES = frozenset({"python", "json", "jsonc", "yaml"})
