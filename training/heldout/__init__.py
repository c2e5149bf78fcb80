"""Held-out packages of 2026: fetched, checked, arranged by language (`step.make_heldout`). Never trained on."""
