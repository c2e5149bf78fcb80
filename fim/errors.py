"""The error tree.

::

    QuicksilverError
    ├── InputError            bad file, position, setting or request: the caller can correct it
    ├── CheckpointError       weights are missing, damaged or of an unknown layout
    └── EngineError           the engine process
        ├── EngineUnavailable it cannot be started or reached, or it died
        └── EngineBusy        its queue is full: ask again later

Every message is one line for a person: what is wrong, then what to do. A spent budget is a result, not an error.
"""


class QuicksilverError(Exception):
    """Base of every error that Quicksilver raises on purpose."""


class InputError(QuicksilverError, ValueError):
    """Unusable input from the caller (exit code 2, HTTP 400, JSON-RPC −32602)."""


class CheckpointError(QuicksilverError):
    """A checkpoint is missing, damaged or of an unknown layout."""


class EngineError(QuicksilverError):
    """The engine process failed."""


class EngineUnavailable(EngineError):
    """The engine process cannot be started or reached, or it died while answering."""


class EngineBusy(EngineError):
    """The engine's queue is full, and the request was not run."""
