"""The network in PyTorch: one transformer with options, and its heads. `denoiser.Denoiser`, `load.denoiser_of`."""
