"""Text without meaning: documents and their lines, positions, what one line leaves open, what is safe to print."""
