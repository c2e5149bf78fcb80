"""Brings published models to this machine: sources, digests, the command. Nothing else of ours goes online."""
