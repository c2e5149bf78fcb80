"""What the server and the engine survive."""
