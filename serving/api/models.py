"""Which model names a request may use."""

from ..engine.worker_state import WorkerState
from .http import UnknownModelError

MODEL_ALIAS = "quicksilver"
# Clients choose the form of a prompt by the model's name, so a published body answers to the names that they know.
BODY_NAMES = {"coder": ("qwen2.5-coder", "qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b-instruct")}


def check_model(asked: str | None, state: WorkerState) -> None:
    """Raises UnknownModelError for a model that is not served. While one loads, any name passes."""
    if not state.model or not asked:
        return
    names = names_of(state.model)
    if not is_one_of(asked, names):
        first, *others = names
        raise UnknownModelError(f"this engine serves {first} (also called {', '.join(others)}), not the one asked for")


def names_of(served: str) -> tuple[str, ...]:
    """The names of the served model: its own first, then `quicksilver` and usual names of its body."""
    return tuple(dict.fromkeys((served, MODEL_ALIAS, *BODY_NAMES.get(served, ()))))


def is_one_of(asked: str, names: tuple[str, ...]) -> bool:
    """Whether asked is one of names, in any case; an owner (`Qwen/`) and a tag (`:latest`) do not count."""
    known = {name.lower() for name in names}
    name = asked.lower()
    return name in known or name.rpartition("/")[2].partition(":")[0] in known
