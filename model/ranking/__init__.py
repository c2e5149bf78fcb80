"""Candidates for a hole, and the probability that each is right (`ranker.judge`), or a beginning of it is."""
