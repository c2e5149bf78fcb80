"""Handlers of the editor's messages, one file for each kind; `server.py` registers them."""
