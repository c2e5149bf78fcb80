"""A server elsewhere as a person describes it, and the TOML file in which they do.

::

    [[arm]]
    name = "mercury"
    dialect = "inception"
    url = "https://api.inceptionlabs.ai"
    model = "mercury-coder"
    api_key_variable = "INCEPTION_API_KEY"

The fields are those of `ForeignEndpoint`. There is no default place for such a file. No message quotes an address or
what stands where the name of a variable belongs: somebody may have put a key there.
"""

import ipaddress
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...fim.errors import InputError
from ..json_values import read_value
from .marks import FAMILIES

ForeignDialect = Literal["openai", "marks", "mistral", "inception", "llamacpp", "ollama"]

MAX_CONTEXT_CHARS = 131_072
_MAX_FILE_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")  # keys have small letters or signs: one that is pasted here is refused
_MODEL = re.compile(r"[\x21-\x7e]{1,200}")
# So plain that every reader of addresses finds the same host in it; no user, query or fragment, where keys might be.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[\w.~/+-]*)?",
    re.ASCII,
)
_KEYS = frozenset({"api_key", "apikey", "key", "token", "password", "authorization"})


@dataclass(frozen=True, kw_only=True)
class ForeignEndpoint:
    """A server elsewhere, and how to ask it.

    url is the server's address, or that of the request itself if it has a path. model may be left out for "llamacpp"
    alone. api_key_variable names the environment variable that holds the key ("" for none). family is the kind of marks
    that the model knows (`marks.FAMILIES`), for the dialect "marks" alone. context_chars is the most text around a hole
    that is sent, three quarters of it left of the hole. snippets lets texts of other files go along, which only
    "llamacpp" has a place for. insecure allows plain http to a machine other than this one.

    Raises ValueError for anything else.
    """

    name: str
    dialect: ForeignDialect
    url: str
    model: str = ""
    api_key_variable: str = ""
    family: str = ""
    context_chars: int = 16_384
    snippets: bool = False
    insecure: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("name must be 1 to 40 letters, digits, dots, dashes and underscores")
        self._check_url()
        if self.api_key_variable and not _VARIABLE.fullmatch(self.api_key_variable):
            raise ValueError(
                "api_key_variable must be the name of an environment variable, in capitals: the key itself goes into"
                " that variable"
            )
        if not self.model and self.dialect != "llamacpp":
            raise ValueError(f"model is missing, and servers of the dialect {self.dialect} want one")
        if self.model and not _MODEL.fullmatch(self.model):
            raise ValueError("model must be 1 to 200 visible ASCII characters")
        if self.dialect == "marks" and self.family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}")
        if self.family and self.dialect != "marks":
            raise ValueError('family is for the dialect "marks" alone')
        if not 16 <= self.context_chars <= MAX_CONTEXT_CHARS:
            raise ValueError(f"context_chars must be from 16 to {MAX_CONTEXT_CHARS:,}")
        if self.snippets and self.dialect != "llamacpp":
            raise ValueError('snippets are for the dialect "llamacpp" alone: others have no place for them')

    def _check_url(self) -> None:
        found = _URL.fullmatch(self.url)
        if found is None or int(found["port"] or 0) > 65_535:
            raise ValueError(
                "url must be like https://api.example.com or http://127.0.0.1:8012/infill, without user, query or"
                " fragment"
            )
        if found["scheme"] == "http" and not self.is_loopback and not self.insecure:
            raise ValueError(
                "url is plain http to another machine, where everybody on the way can read your code and key: use"
                " https, or say insecure = true"
            )

    @property
    def host(self) -> str:
        """The machine that the address names, with its port if that is said."""
        found = _URL.fullmatch(self.url)
        assert found is not None
        return found["host"] + (f":{found['port']}" if found["port"] else "")

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine's own."""
        found = _URL.fullmatch(self.url)
        assert found is not None
        host = found["host"].strip("[]").lower()
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def address(self, path: str) -> str:
        """Where requests go: path at the server, unless url says a path itself."""
        found = _URL.fullmatch(self.url)
        assert found is not None
        return self.url if found["path"] not in (None, "/") else self.url.rstrip("/") + path


@dataclass(frozen=True, kw_only=True)
class _ArmsFile:
    arm: tuple[ForeignEndpoint, ...]


def read_endpoints(path: Path) -> tuple[ForeignEndpoint, ...]:
    """The servers that a TOML file names, in its order. Raises InputError, with one line that says what is wrong."""
    found = _read_toml(path)
    arms = found.get("arm")
    for each in arms if isinstance(arms, list) else []:
        held = sorted(_KEYS & {str(key).lower() for key in each}) if isinstance(each, dict) else []
        if held:
            raise InputError(
                f"{path}: {held[0]} does not belong in a file: put the key into an environment variable, and name that"
                " with api_key_variable"
            )
    endpoints = read_value(found, _ArmsFile, str(path)).arm
    if not endpoints:
        raise InputError(f"{path} names no server: it needs an [[arm]]")
    names = [each.name for each in endpoints]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path} has two servers that are called {twice}")
    return endpoints


def find_endpoint(endpoints: Sequence[ForeignEndpoint], name: str) -> ForeignEndpoint:
    """The server of that name. Raises InputError."""
    for each in endpoints:
        if each.name == name:
            return each
    raise InputError(f"there is no server called {name}: there is {', '.join(each.name for each in endpoints)}")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file" if path.exists() else f"there is no file {path}")
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise InputError(f"{path} is larger than {_MAX_FILE_BYTES // 1024} KB")
        return tomllib.loads(data.decode("utf-8"))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, and a NUL character in the name
        raise InputError(f"{path} is not TOML: {error}") from error
