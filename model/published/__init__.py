"""Diffusion language models that others have published, read from a folder of the user and served by the same engine.

The walk of one request: `folder` has read config, weights and tokenizer; a `families.Family` says what is special about
them; `layout` lays prefix, canvas and suffix out; `infiller` fills the canvas with `decoding.denoise`, of which only
the prediction (`prediction`) is another; `backbone` computes. Nothing is downloaded and no code of a folder is run.
"""
