"""Triton kernels, each beside its PyTorch reference."""

# transformers asks a package named "kernels" for its version when this checkout is on sys.path; 0.0.0 turns it away.
__version__ = "0.0.0"
