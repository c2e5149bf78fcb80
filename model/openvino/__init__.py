"""Runs models on the CPU with OpenVINO and NumPy, without PyTorch. `load.load_openvino` is the door."""
