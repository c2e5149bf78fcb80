"""The training corpus: where text comes from, what is kept, what is removed."""
