"""The network in PyTorch: one transformer with options, and its heads. `denoiser.Denoiser`, `load.denoiser_of`.

It is trained, runs on GPUs, and is the specification of what OpenVINO computes. `transformer.py` has the layers,
`copy_head.py` and `matches.py` the pointer into the context, `states.py` the states of a context in any array library.
"""
