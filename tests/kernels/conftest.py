"""Where and how kernels are tested: on a GPU if there is one, else in Triton's interpreter; memory poisoned either way.

Triton decides when it is imported, and when it is given a kernel, whether it interprets. Both happen here with
TRITON_INTERPRET set, and only here: other tests and their subprocesses never see the variable. What they share is a
Triton whose own library is interpreted, which nothing else uses on a machine without a GPU.
"""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

IS_INTERPRETED = find_spec("triton") is not None and not torch.cuda.is_available()
INTERPRETED = patch.dict(os.environ, TRITON_INTERPRET="1")

if IS_INTERPRETED:
    with INTERPRETED:
        import triton.language  # noqa: F401


def is_bfloat16(handle) -> bool:
    return handle.dtype.scalar.name == "bf16"


@pytest.fixture(scope="session")
def mended_interpreter() -> None:
    """Teach the interpreter bfloat16: it keeps the bits in uint16, multiplies these in `dot`, and cuts off in casts."""
    from triton.runtime import interpreter

    handle, builder = interpreter.TensorHandle, interpreter.InterpreterBuilder
    plain_cast, plain_dot = builder.cast_impl, builder.create_dot
    names = interpreter.tl

    def cast(self, source, to):
        if to.scalar == names.bfloat16 and not is_bfloat16(source):
            rounded = torch.from_numpy(source.data.astype("float32")).to(torch.bfloat16)
            return handle(rounded.view(torch.uint16).numpy(), names.bfloat16)
        if is_bfloat16(source) and to.scalar not in (names.bfloat16, names.float32):
            source = plain_cast(self, source, names.float32)
        return plain_cast(self, source, to)

    def dot(self, a, b, *others):
        a, b = (plain_cast(self, x, names.float32) if is_bfloat16(x) else x for x in (a, b))
        return plain_dot(self, a, b, *others)

    casts = ("cast_impl", "create_si_to_fp", "create_ui_to_fp", "create_fp_ext", "create_fp_trunc")
    for name, method in (*((name, cast) for name in casts), ("create_dot", dot)):
        setattr(builder, name, method)


@pytest.fixture(params=["interpreter", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where a kernel's tensors go: to a GPU, or into the CPU's memory, where kernels are interpreted."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("needs a GPU")
        yield torch.device("cuda")
        return
    if not IS_INTERPRETED:
        pytest.skip("Triton is not installed, or there is a GPU and kernels are compiled for it")
    import triton

    if isinstance(triton.language.cdiv, triton.JITFunction):
        pytest.fail("something imported Triton before tests/kernels/conftest.py could ask for its interpreter")
    request.getfixturevalue("mended_interpreter")
    with INTERPRETED, np.errstate(all="ignore"):
        yield torch.device("cpu")


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Fill what `torch.empty` gives with NaN and greatest integers, so that an element nobody wrote shows."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def error(actual: Tensor, exact: Tensor) -> float:
    """Greatest difference, as a share of the greatest exact value; inf where something is not finite."""
    difference = (actual.double().cpu() - exact.cpu()).abs().max() / exact.abs().max().cpu()
    return float(difference) if torch.isfinite(actual).all() else float("inf")


@pytest.fixture
def assert_as_exact() -> Callable[[Tensor, Tensor, Tensor], None]:
    """Assert that a kernel's error is at most thrice that of the reference in the same dtype, or some roundings.

    A GPU sums in another order and takes exponentials and logarithms by approximation: in float32 up to 16 roundings
    on an H200 (docs/log/2026-11-27.md).
    """

    def check(actual: Tensor, plain: Tensor, exact: Tensor) -> None:
        assert actual.shape == plain.shape == exact.shape and actual.dtype == plain.dtype
        assert exact.dtype == torch.float64
        n_roundings = 24 if actual.is_cuda and actual.dtype == torch.float32 else 4
        allowed = max(3 * error(plain, exact), n_roundings * torch.finfo(actual.dtype).eps)
        assert error(actual, exact) <= allowed, (error(actual, exact), error(plain, exact))

    return check
