"""Running out of memory is told from other failures."""

import pytest
from quicksilver.model.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("[CPU] FullyConnectedCompressed node with name 'MatMul_661' can't alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("Eltwise shape infer input shapes dim index: 0 mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_every_runtimes_words_for_it_are_known(error, is_memory):
    assert is_out_of_memory(error) is is_memory
