"""Reads, checks and saves checkpoint folders. `checkpoint.load` and `checkpoint.save` are the doors."""
