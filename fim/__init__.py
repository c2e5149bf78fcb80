"""The domain of infilling: documents, holes, gating, snippets, trimming and the `Engine` protocol.

Everything about a completion that needs no model. It imports neither PyTorch nor pygls and opens no sockets; on disk it
reads only files of a workspace (`workspace/`) and files that a person names (`files/`).
"""
