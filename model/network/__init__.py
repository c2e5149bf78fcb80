"""The neural network: one transformer with options, and the heads on top of it. Tensors in, tensors out."""
