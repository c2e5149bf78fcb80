"""What a person can choose of how a model is held: number formats, and the cache of a published one."""

from typing import Literal

Dtype = Literal["float32", "bfloat16"]
WeightFormat = Literal["int8", "fp8"]
CacheKind = Literal["exact", "none"]
