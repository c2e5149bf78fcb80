"""Which languages a model completes by itself, by LSP language id.

Owns the lists. What it does in any other language, when a person asks for it, is a guess.
"""

from collections.abc import Mapping

PYTHON = ("python",)
# What code models of general use were taught, as far as a user of an editor can tell: nineteen, with dialects.
MANY = (
    "python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp",
    "php", "shellscript", "csharp", "ruby", "kotlin", "sql", "html", "css", "scss", "less", "json", "jsonc", "yaml",
    "markdown",
)  # fmt: skip


def languages_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """The languages of a checkpoint of ours, by its config.json: infilling marks come from a general code model."""
    return MANY if "marks" in config else PYTHON


def languages_fact(languages: tuple[str, ...]) -> str:
    """The languages as a model's description has them: ids with blanks between."""
    return " ".join(languages)
