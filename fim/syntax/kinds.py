"""Node kinds and tokens of the grammars, as data: which of them are comments, strings, openers of blocks.

All grammars share one table: the same name means the same everywhere.
"""

COMMENTS = frozenset({"comment", "line_comment", "block_comment", "doc_comment", "html_comment"})
STRINGS = frozenset(
    {
        "string", "string_literal", "raw_string_literal", "interpreted_string_literal", "template_string",
        "template_literal_type", "char_literal", "character_literal", "encapsed_string", "nowdoc_string", "heredoc",
        "raw_string", "ansi_c_string", "translated_string", "system_lib_string", "regex", "verbatim_string_literal",
        "interpolated_string_expression", "multiline_string_literal", "string_array", "symbol_array",
        "delimited_symbol", "subshell", "string_value", "quoted_attribute_value", "double_quote_scalar",
        "single_quote_scalar", "block_scalar",
    }
)  # fmt: skip
# The content between the quotes; if a string is never closed, only this is left of it.
STRING_CONTENTS = frozenset(
    {
        "string_content", "string_fragment", "interpreted_string_literal_content", "raw_string_literal_content",
        "raw_string_content", "multiline_string_fragment", "heredoc_body", "heredoc_content",
        "string_literal_content",
    }
)  # fmt: skip
INTERPOLATIONS = frozenset({"interpolation", "template_substitution", "string_interpolation", "expansion"})
BODIES = frozenset({"block", "body_statement"})  # nodes that hold the statements of an indented body and nothing else

# By LSP language id. If a language is missing from one of these, the default applies.
NO_BLOCK_COMMENTS = frozenset({"python", "shellscript", "ruby", "json", "yaml"})
QUOTES = {"rust": '"', "go": '"', "html": '"', "yaml": '"', "json": '"'}  # an apostrophe is a lifetime, a rune, text
QUOTE = "\"'"
NO_MEMBERS = ("shellscript", "html", "css", "json", "jsonc", "yaml")
MEMBER_TOKENS = {
    "c": (".", "->"), "cpp": (".", "->", "::"), "rust": (".", "::"), "java": (".", "::"), "php": ("->", "::"),
    "kotlin": (".", "::"), "ruby": (".", "::"), "csharp": (".", "::"), **dict.fromkeys(NO_MEMBERS, ()),
}  # fmt: skip
MEMBER_TOKEN = (".",)
BRACKETS = {"(": ")", "[": "]", "{": "}", "${": "}", "#{": "}"}
# Tokens that a node begins and ends with: brackets, words, tags.
ENDS = frozenset(
    {*BRACKETS.items(), *((word, "end") for word in ("def", "class", "module", "do", "case", "begin")),
     *((word, "end") for word in ("while", "until", "for")), ("do", "done"), ("case", "esac"),
     ("start_tag", "end_tag"), ("jsx_opening_element", "jsx_closing_element")}
)  # fmt: skip
# The same of nodes that may have several bodies.
BRANCHES = frozenset({("if", "end"), ("unless", "end"), ("if", "fi")})
