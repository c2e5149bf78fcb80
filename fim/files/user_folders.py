"""The user's folders for fetched models and converted copies. Creates nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

HOME_VARIABLE = "QUICKSILVER_HOME"


def home_override(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder in QUICKSILVER_HOME, if set: all our files are then below it."""
    return Path(environ[HOME_VARIABLE]).expanduser().absolute() if environ.get(HOME_VARIABLE) else None


def models_folder() -> Path:
    """The folder of fetched models, one folder each."""
    override = home_override()
    if override is not None:
        return override / "models"
    import platformdirs  # imported late: it delays the language server

    return platformdirs.user_data_path("quicksilver", appauthor=False) / "models"


def converted_folder() -> Path:
    """The folder of converted copies of the user's own files; all of them can be made again."""
    override = home_override()
    if override is not None:
        return override / "converted"
    import platformdirs

    return platformdirs.user_cache_path("quicksilver", appauthor=False) / "converted"


def speeds_file() -> Path:
    """The file of models' speeds on this machine; they can be measured again."""
    return models_folder().parent / "speeds.json"
