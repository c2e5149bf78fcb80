"""Which models there are, which one a person means, and how fast each is on this machine. No weights."""
