"""What a person can choose for a model: runtime, device, number formats, and the cache of a published one."""

from typing import Literal

Runtime = Literal["torch", "openvino"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]
WeightFormat = Literal["int8", "fp8"]
CacheKind = Literal["exact", "none"]
