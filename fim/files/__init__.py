"""The user's files: read without trust (`regular_file.read_regular`), replaced whole or not at all (`atomic_write`)."""
