"""Node kinds and tokens of the grammars, as data: which of them are comments, strings, openers of blocks.

Owns names only. Kinds of all grammars share one table: the same name means the same everywhere.
"""

COMMENTS = frozenset({"comment", "line_comment", "block_comment", "doc_comment", "html_comment"})
STRINGS = frozenset(
    {
        "string", "string_literal", "raw_string_literal", "interpreted_string_literal", "template_string",
        "template_literal_type", "char_literal", "character_literal", "encapsed_string", "nowdoc_string", "heredoc",
        "raw_string", "ansi_c_string", "translated_string", "system_lib_string", "regex",
    }
)  # fmt: skip
# What stands between the quotes; where a string is never closed, only this is left of it.
STRING_CONTENTS = frozenset(
    {
        "string_content", "string_fragment", "interpreted_string_literal_content", "raw_string_literal_content",
        "raw_string_content", "multiline_string_fragment", "heredoc_body", "heredoc_content",
    }
)  # fmt: skip
INTERPOLATIONS = frozenset({"interpolation", "template_substitution", "string_interpolation", "expansion"})
BODIES = frozenset({"block"})  # nodes that hold the statements of an indented body and nothing else

# By LSP language id. Where a language is missing from one of these, the default applies.
NO_BLOCK_COMMENTS = frozenset({"python", "shellscript"})
QUOTES = {"rust": '"', "go": '"'}  # an apostrophe is a lifetime, or a rune
QUOTE = "\"'"
MEMBER_TOKENS = {
    "c": (".", "->"), "cpp": (".", "->", "::"), "rust": (".", "::"), "java": (".", "::"), "php": ("->", "::"),
    "shellscript": (),
}  # fmt: skip
MEMBER_TOKEN = (".",)
BLOCK_WORDS = {"shellscript": frozenset({"then", "do", "else"})}  # words that open a block as a bracket does
CLOSER_OF_TOKEN = {"(": ")", "[": "]", "{": "}", "${": "}", "#{": "}"}
