"""Paths and names in URIs of documents and folders."""

import os
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit


def path_of(uri: str) -> str | None:
    """The absolute path in a file URI; None for any other URI, a path with `..` in it, or an impossible one."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        return None
    try:
        os.fsencode(path)  # lone surrogates cannot be part of a name
    except UnicodeEncodeError:
        return None
    return None if ".." in path.split("/") else str(PurePosixPath(path))


def name_of(uri: str) -> str:
    """The last part of a URI's path."""
    try:
        return PurePosixPath(unquote(urlsplit(uri).path)).name
    except ValueError:
        return ""
