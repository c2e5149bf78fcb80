"""Candidates for one hole, and how likely each of them, and each beginning of it, is right."""
