"""The domain of infilling: documents, holes, gating, snippets, trimming and the `Engine` protocol.

Owns what can be said about a completion without a model. It does not know torch, pygls or sockets; of files on disk it
reads those of a workspace (`workspace/`) and those that a person names (`files/`).
"""
