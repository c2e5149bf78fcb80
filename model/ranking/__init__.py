"""Candidates for a hole, and the probability that each is right (`ranker.judge`), or a beginning of it is.

`candidates.py` collects texts of all sources and removes what is the same. The ranker is a logistic regression over
what is known of a candidate; `prefix_confidence.py` is another one, for the beginnings of a text. Both are fitted to
one checkpoint and kept in its config.
"""
