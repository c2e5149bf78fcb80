"""Diffusion language models that others have published, read from a user's folder and served by the same engine.

How a request is answered: `folder.load` has read config, weights and tokenizer; a `families.Family` describes what is
special about them; `layout` arranges prefix, canvas and suffix; `infiller` fills the canvas with `decoding.denoise` and
a prediction of its own (`prediction`); `backbone` computes. Nothing is downloaded, and no code from a folder is run.
"""
