"""JSON-RPC and LSP as messages. The doors are `endpoint.StrictServer`, a language server of pygls with the parts
replaced that lose, delay or distort what an editor says, and `params.py`, whose functions turn parameters into our
values when a message arrives, or refuse it with one line. `endpoint.serve_streams` runs a server over two pipes.

A message comes as bytes, is cut out of the stream (framing.py), waits its turn (inbox.py), is checked and read
(endpoint.py, params.py), and its handler runs as a task of its own. headless.py is the other end: a client without an
editor. Nothing is exported here, as the client must not load pygls (0.2 s).
"""
