"""The engine process: sockets, locks, loading the model, shutting down. `life.run_engine`, `loading.load_model`."""
