"""What runs the network: PyTorch, OpenVINO on a CPU, CUDA graphs on a GPU; and how jobs share a forward."""
