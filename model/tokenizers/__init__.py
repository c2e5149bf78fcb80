"""Text to token ids and back: `CodeTokenizer` for our models, `BodyTokenizer` for published bodies.

`canvas_tokens.py` tells the denoise loop which tokens are text, ends or line breaks, without letting it see text.
`marks.py` finds a published model's infilling marks, `piece_boundaries.py` where a text may be cut into the same
tokens, `chat_template.py` how a conversation is told.
"""
