"""Runs the programs of answers: a fresh process in an empty folder, within limits, without network."""
