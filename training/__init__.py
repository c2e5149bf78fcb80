"""Corpus, losses and the trainer. Knows no editor."""
