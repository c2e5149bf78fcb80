"""Runs models on the CPU with OpenVINO and NumPy, without PyTorch. `load.load_openvino` is the door.

`graph.py` builds the forward once, node by node, from the checkpoint's int8 matrices; `compile.py` compiles it;
`runner.py` fills its inputs for a request and reads its outputs. `matches.py`, `copy_head.py` and `rotary.py` compute
with NumPy what is cheaper outside the graph. PyTorch's network (`model.network`) is the specification.
"""
