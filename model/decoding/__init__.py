"""How a canvas fills up: the denoise loop, its policies, a body's own next tokens, and verification."""
