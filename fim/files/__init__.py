"""Files of the user's: read without trust, replaced whole or not at all."""
