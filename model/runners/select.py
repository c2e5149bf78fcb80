"""Chooses the runtime and the device for a model; imports PyTorch only if it may be needed."""

import importlib.util
from pathlib import Path

from ...fim.models.formats import Runtime

DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of NVIDIA's GPUs, of any GPU in WSL, of AMD's
NO_TORCH = "this needs PyTorch, which is not installed: pip install 'quicksilver-lsp[gpu]'"
CPU_ONLY = "the runtime openvino is for the CPU: choose torch, or the device cpu"


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def has_gpu_driver() -> bool:
    """Whether a driver for a GPU that PyTorch can use is installed."""
    return any(Path(driver).exists() for driver in DRIVERS)


def may_have_gpu() -> bool:
    """Whether PyTorch and a GPU driver are installed. Only then is PyTorch asked, since importing it takes a second."""
    return has_torch() and has_gpu_driver()


def fastest_runtime(device: str = "cpu") -> Runtime:
    """PyTorch on a GPU; on the CPU OpenVINO, if it is installed (decision 13)."""
    return "openvino" if device == "cpu" and has_openvino() else "torch"
