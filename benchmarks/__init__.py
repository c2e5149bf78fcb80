"""Latency and quality, measured through the real parts; results are data."""
