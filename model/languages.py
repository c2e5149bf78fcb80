"""The languages that a model completes while a person types, by LSP language id; in others only on request."""

from collections.abc import Mapping

PYTHON = ("python",)
# What general code models were taught, as far as a user of an editor can tell: nineteen languages, with dialects.
MANY = (
    "python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp",
    "php", "shellscript", "csharp", "ruby", "kotlin", "sql", "html", "css", "scss", "less", "json", "jsonc", "yaml",
    "markdown",
)  # fmt: skip


def languages_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """The languages of a checkpoint of ours, by its config.json: one with infilling marks is a general code model."""
    return MANY if "marks" in config else PYTHON


def languages_fact(languages: tuple[str, ...]) -> str:
    """The languages as a model's description lists them: ids separated by blanks."""
    return " ".join(languages)
