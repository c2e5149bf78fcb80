"""The checkpoints that come with the package, those that can be fetched, and the one that a person names."""

from pathlib import Path

from ..errors import InputError
from ..files.user_folders import models_folder

EMBEDDED = ("base", "nano")  # best first
FETCHED = ("coder",)  # what `quicksilver fetch` knows; better than those
NAMES = (*EMBEDDED, *FETCHED)
GGUF = ".gguf"
CHECKPOINTS = Path(__file__).parents[2] / "model" / "checkpoints"
_MAX_SHOWN = 200  # characters of a name in a message


def find_model(name: str) -> Path:
    """The checkpoint folder or GGUF file that a person names: `base`, `nano`, `coder`, or a path.

    Raises InputError if there is none. A bare name of ours never means a folder: for that, write `./nano`.
    """
    if name in EMBEDDED:
        return (CHECKPOINTS / name).resolve()
    if name in FETCHED:
        return _fetched(name)
    try:
        path = Path(name).expanduser()
        if name and (path.is_dir() or (is_gguf(path) and path.is_file())):
            return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user's home, a NUL character
        raise InputError(_no_model(name)) from error
    raise InputError(_no_model(name))


def is_gguf(path: Path) -> bool:
    """Whether a path has the name of a GGUF file."""
    return path.suffix.lower() == GGUF


def _fetched(name: str) -> Path:
    folder = models_folder() / name
    if not (folder / "config.json").is_file():
        raise InputError(f"the model {name} is not on this machine yet: run `quicksilver fetch {name}` first")
    return folder.resolve()


def _no_model(name: str) -> str:
    shown = name[:_MAX_SHOWN]
    if "/" in name or "\\" in name or name.lower().endswith(GGUF):
        return f"there is no checkpoint folder or GGUF file {shown}"
    from difflib import get_close_matches  # imported late: it delays the language server

    guess = get_close_matches(name.lower(), NAMES, n=1)
    others = f"name one of {', '.join(NAMES)}, a checkpoint folder, or a GGUF file"
    advice = f"did you mean {guess[0]}?" if guess else others
    return f"there is no model {shown}: {advice}"
