"""LSP language ids: the id for a file's extension, and other names that editors give a language."""

# Source code, which is also read from the workspace.
CODE_SUFFIXES = {
    ".py": "python", ".pyi": "python", ".pyw": "python", ".js": "javascript", ".mjs": "javascript",
    ".cjs": "javascript", ".jsx": "javascriptreact", ".ts": "typescript", ".mts": "typescript", ".cts": "typescript",
    ".tsx": "typescriptreact", ".go": "go", ".rs": "rust", ".java": "java", ".c": "c", ".h": "c", ".cc": "cpp",
    ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp", ".php": "php", ".sh": "shellscript",
    ".bash": "shellscript", ".cs": "csharp", ".rb": "ruby", ".kt": "kotlin", ".kts": "kotlin",
}  # fmt: skip
CODE_LANGUAGES = frozenset(CODE_SUFFIXES.values())
# Queries, pages and settings: completed if a model knows them, and never read for other files.
TEXT_SUFFIXES = {
    ".sql": "sql", ".html": "html", ".htm": "html", ".css": "css", ".scss": "scss", ".less": "less", ".json": "json",
    ".jsonc": "jsonc", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".markdown": "markdown",
}  # fmt: skip
# File types of Neovim and modes of Emacs that differ from the protocol's ids.
OTHER_NAMES = {
    "py": "python", "python3": "python", "js": "javascript", "javascript.jsx": "javascriptreact",
    "jsx": "javascriptreact", "ts": "typescript", "typescript.tsx": "typescriptreact", "tsx": "typescriptreact",
    "golang": "go", "rs": "rust", "c++": "cpp", "c_sharp": "csharp", "cs": "csharp", "c#": "csharp", "rb": "ruby",
    "sh": "shellscript", "bash": "shellscript", "zsh": "shellscript", "shell": "shellscript", "kt": "kotlin",
    "yml": "yaml", "md": "markdown", "gfm": "markdown", "htm": "html", "mysql": "sql", "plsql": "sql", "pgsql": "sql",
    "postgres": "sql", "json5": "jsonc", "dockercompose": "yaml", "github-actions-workflow": "yaml",
}  # fmt: skip


def language_id(name: str) -> str:
    """The id of the language that an editor calls by this name; the name itself if it is not another name of one.

    A file type with a dot is a dialect: `yaml.ansible` is YAML.
    """
    known = OTHER_NAMES.get(name.lower())
    if known is not None:
        return known
    head = name.partition(".")[0]
    return OTHER_NAMES.get(head.lower(), head) if head else name
