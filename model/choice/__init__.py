"""Chooses the model to serve by its speed on this machine: `tiers.choose`, `speed.measure_speed`."""
