"""What running out of memory looks like, from any runtime and on any device."""

MESSAGES = (
    "out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "failed to allocate",
    "can't alloc",  # OpenVINO
    "could not create a primitive",  # oneDNN; seen with limited address space only
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether error means that memory could not be had."""
    if isinstance(error, MemoryError):
        return True
    message = str(error).lower()  # PyTorch's own class of them is a RuntimeError, and says so too
    return isinstance(error, RuntimeError) and any(words in message for words in MESSAGES)
