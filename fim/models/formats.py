"""What a person can choose of how a model is run and held: runtime, device, number formats, a published one's cache."""

from typing import Literal

Runtime = Literal["torch", "openvino"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16"]
WeightFormat = Literal["int8", "fp8"]
CacheKind = Literal["exact", "none"]
