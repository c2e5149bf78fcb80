"""The engine's client: `engine_client.EngineClient` starts the shared process and sends requests. Without PyTorch.

`starting.py` takes a lock, so that ten editors start one engine, and waits until it answers. `http.py` is a small HTTP
client that can be cancelled at any time, `process_control.py` stops engines. Before anything is sent, the client checks
that the engine belongs to the same user.
"""
