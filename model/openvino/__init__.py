"""A model run by OpenVINO and NumPy, on the CPU, without PyTorch. `load.load_openvino` is its door."""
