"""The training corpus: its sources, filters and shards. `steps.make_corpus` and `code.make_code` are the doors."""
