"""The denoiser, its tokenizer, the context cache and the one denoise loop. Knows no editor and no socket."""

import sys

# OpenVINO tells its makers over the network when it is imported, with the package `openvino_telemetry`, from a forked
# process. With this it cannot find that package and goes on without (found by strace, docs/log/2026-11-27.md). Every
# import of OpenVINO is in this package, so this comes before each of them.
sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]
