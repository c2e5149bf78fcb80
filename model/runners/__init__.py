"""Runs the network for several jobs at once: `drive.drive`, `select.fastest_runtime`; PyTorch and CUDA graphs.

A runner is a callable from requests to replies (`model.requests`). `select.py` says which runtimes are here.
`batching.py` is PyTorch's: the tokens of all jobs go through the network end to end. On GPUs `cuda_graphs.py` and
`graph_loop.py` capture a whole denoise loop (decision 16). The CPU's runner is in `model.openvino`.
"""
