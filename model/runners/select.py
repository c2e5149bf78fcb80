"""Which runtime and device a model is run with, found out without loading PyTorch where that is of no use."""

import importlib.util
from pathlib import Path

from ...fim.models.formats import Runtime

DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of NVIDIA's GPUs, of any below Windows, of AMD's
NO_TORCH = "this needs PyTorch, which is not installed: pip install 'quicksilver-lsp[gpu]'"
CPU_ONLY = "the runtime openvino is for the CPU: choose torch, or the device cpu"


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def has_gpu_driver() -> bool:
    """Whether the driver of a GPU that PyTorch can use is here."""
    return any(Path(driver).exists() for driver in DRIVERS)


def may_have_gpu() -> bool:
    """Whether PyTorch is worth asking for a GPU: it is installed, and a driver is there. Loading it takes a second."""
    return has_torch() and has_gpu_driver()


def fastest_runtime(device: str = "cpu") -> Runtime:
    """PyTorch on a GPU; on the CPU OpenVINO, where it is installed (decision 13)."""
    return "openvino" if device == "cpu" and has_openvino() else "torch"
