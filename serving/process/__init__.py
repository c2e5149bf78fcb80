"""The engine process: its sockets and locks, loading a model, its life and its end."""
