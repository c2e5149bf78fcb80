"""The domain of infilling: documents, holes, gating, trimming and the `Engine` protocol.

Owns what can be said about a completion without a model. It does not know torch, pygls, sockets or files on disk.
"""
