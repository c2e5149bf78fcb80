"""Runs the network for several jobs at once: `drive.drive`, `select.fastest_runtime`; PyTorch and CUDA graphs."""
