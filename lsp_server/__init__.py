"""The language server. Never imports torch."""
