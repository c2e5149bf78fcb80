"""Fits the rankers of a finished checkpoint."""
