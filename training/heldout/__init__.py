"""Held-out packages of 2026: fetched, checked, laid out by language. Nothing is trained on them."""
