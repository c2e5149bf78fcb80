"""Corpus, losses and the trainer."""
