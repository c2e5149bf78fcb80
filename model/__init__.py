"""Tokenizers, networks, the context cache, decoding and checkpoints. `load.load_folder` loads any model folder."""

import sys

# When it is imported, OpenVINO reports to its makers over the network, with the package `openvino_telemetry`, from a
# forked process. This line hides that package, and OpenVINO goes on without (found by strace, docs/log/2026-11-27.md).
# Every import of OpenVINO is in this package, so this line runs before each of them.
sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
