"""Fits the rankers of a finished checkpoint: `ranker.fit_to`, `prefix_ranker.fit_prefixes`."""
