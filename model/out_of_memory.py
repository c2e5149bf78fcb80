"""Recognises out-of-memory errors of any runtime and device."""

MESSAGES = (
    "out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "failed to allocate",
    "can't alloc",  # OpenVINO
    "could not create a primitive",  # oneDNN; seen with limited address space only
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether error means that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    message = str(error).lower()  # PyTorch's OutOfMemoryError is a RuntimeError, and says so too
    return isinstance(error, RuntimeError) and any(words in message for words in MESSAGES)
