"""Measures speed and quality through the real parts; results are JSON. `quicksilver bench` and `eval` run them."""
