"""Stress tests of the server and the engine."""
