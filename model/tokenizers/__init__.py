"""Text to token ids and back: `CodeTokenizer` for our models, `BodyTokenizer` for published bodies."""
