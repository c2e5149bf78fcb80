"""The checkpoints that come with the package: their names, their folders, and the one that a person names."""

from pathlib import Path

from .errors import InputError

EMBEDDED = ("base", "nano")  # best first; the first is served unless another one is named
CHECKPOINTS = Path(__file__).parent.parent / "model" / "checkpoints"
_MAX_SHOWN = 200  # characters of a name in a message


def find_model(name: str) -> Path:
    """The checkpoint folder that a person names: `base`, `nano`, or a folder. Raises InputError when there is none.

    A bare name that is both means the embedded checkpoint: `./nano` is the folder.
    """
    if name in EMBEDDED:
        return (CHECKPOINTS / name).resolve()
    try:
        folder = Path(name).expanduser()
        if name and folder.is_dir():
            return folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user's home, a NUL character
        raise InputError(_no_model(name)) from error
    raise InputError(_no_model(name))


def unless_default(folder: Path) -> Path | None:
    """None for the checkpoint that is served by default: under both names it is one engine."""
    return None if folder == (CHECKPOINTS / EMBEDDED[0]).resolve() else folder


def _no_model(name: str) -> str:
    shown = name[:_MAX_SHOWN]
    if "/" in name or "\\" in name:
        return f"there is no checkpoint folder {shown}"
    from difflib import get_close_matches  # only for who needs it: it delays the language server

    guess = get_close_matches(name, EMBEDDED, n=1)
    advice = f"did you mean {guess[0]}?" if guess else f"name one of {', '.join(EMBEDDED)}, or a checkpoint folder"
    return f"there is no model {shown}: {advice}"
