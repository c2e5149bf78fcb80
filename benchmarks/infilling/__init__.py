"""Infilling tasks: read, answered, and counted as solved when their tests pass."""
