"""A tiny model that can be fetched, and wheels that carry it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.fetch.catalogue import CATALOGUE, Fetchable, PackagePart
from small_sources import Wheels
from tiny_gguf import TinyGguf

N_PARTS = 3


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    return TinyGguf().write(tmp_path_factory.mktemp("gguf") / "m.gguf").read_bytes()


@pytest.fixture
def model(content) -> Fetchable:
    size = -(-len(content) // N_PARTS)
    parts = tuple(
        PackagePart(
            package=f"tiny-part{i + 1}", member=f"data/part0{i + 1}.bin", n_bytes=len(piece),
            sha256=hashlib.sha256(piece).hexdigest(),
        )
        for i, piece in enumerate(content[at : at + size] for at in range(0, len(content), size))
    )  # fmt: skip
    return replace(
        CATALOGUE["coder"], file="tiny.gguf", n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
        parts=parts, n_installed_bytes=100_000, lora=None,
        rankers=None, extras=(), chat=None,
    )  # fmt: skip


@pytest.fixture
def wheels(content, model, tmp_path) -> Wheels:
    return Wheels(content, model, tmp_path / "wheels")
