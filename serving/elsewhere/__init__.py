"""Servers elsewhere that a person names, as engines to compare with: Mercury's, Mistral's, a llama-server, Ollama. The
door is `foreign_engine.ForeignEngine`, an `Engine` over one `ForeignEndpoint`; `read_endpoints` reads them from a file.

Nothing here runs unless a person names such a file: there is no default place for it, and the language server and the
engine never import this room (an import-linter contract). `outgoing.py` decides what leaves the machine, `dialects.py`
how it is said to each kind of server, `marks.py` how for models behind a server that takes no suffix, and
`foreign_engine.py` sends it. Keys come from environment variables only.
"""
