"""Files of tensors and JSON, read without trust and written whole or not at all."""
