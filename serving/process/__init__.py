"""The engine process: its sockets and locks, loading the model, running, and shutting down."""
