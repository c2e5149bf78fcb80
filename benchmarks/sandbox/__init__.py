"""Runs programs with answers in them: `execution.execute`, in a fresh process, within limits and without network."""
