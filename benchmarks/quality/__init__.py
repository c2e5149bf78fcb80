"""How good: holes of held-out packages, decoders, scores and their reports."""
