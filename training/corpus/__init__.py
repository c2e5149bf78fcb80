"""The training corpus: where text comes from, what is let in, what is taken out."""
