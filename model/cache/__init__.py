"""What was computed of a context, kept in pages that contexts with the same beginning share."""
