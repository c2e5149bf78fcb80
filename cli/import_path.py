"""Keeps the working folder off Python's import path.

An empty or relative entry of PYTHONPATH stands for that folder (`export PYTHONPATH=$PYTHONPATH:/x` makes one). The
folder may be a workspace, and its `json.py` would run instead of Python's.
"""

# ruff: noqa: PTH100, PTH117, SIM105 (pathlib and contextlib import modules that would be looked up in that folder)
import os
import sys


def without_working_folder(path: list[str], pythonpath: str) -> list[str]:
    """The entries of path less the working folder and those that pythonpath names by a relative entry only."""
    named = pythonpath.split(os.pathsep) if pythonpath else []
    absolute = {entry for entry in named if os.path.isabs(entry)}
    unwanted = {"", os.curdir, *named} - absolute
    try:
        unwanted |= {os.path.abspath(entry) for entry in named} - absolute  # so Python writes them when it starts
    except FileNotFoundError:
        pass  # the working folder was deleted
    return [entry for entry in path if entry not in unwanted]


def leave_working_folder_out() -> None:
    """Take the working folder out of this process's import path."""
    if not sys.flags.ignore_environment:
        sys.path[:] = without_working_folder(sys.path, os.environ.get("PYTHONPATH", ""))
