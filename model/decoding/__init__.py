"""Fills canvases (`denoise.denoise`, policies, a body's own next tokens) and verifies texts (`verification.verify`).

`denoise` is the one loop: predict, choose by a policy, commit. What predicts is a function: the canvas pass of our own
models, or `continuation.py` for published bodies, which write from left to right and read guesses (`ngrams.py`,
`draft_paths.py`). `partial_answer.py` knows where a text ends, `healing.py` how it begins inside a token,
`sampling.py` draws tokens.
"""
