"""Fills canvases (`denoise.denoise`, policies, a body's own next tokens) and verifies texts (`verification.verify`)."""
