"""The engine process, its HTTP API and the torch-free client that starts and asks it."""
