"""The engine's work: its queue, the one thread that runs the model, its metrics."""
