"""Checkpoint folders: read, checked, saved. `checkpoint.load` is the door."""
