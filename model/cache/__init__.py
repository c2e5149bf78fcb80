"""States of contexts, kept in pages that contexts with the same beginning share. `ContextCache` is the door."""
