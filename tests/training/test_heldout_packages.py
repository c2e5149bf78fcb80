"""The held-out packages of 2026: the list, fetching by hash, what is kept of an archive, and the folder made of it."""

import datetime
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus import corpus, sources
from quicksilver.training.corpus import heldout_packages as heldout_list
from quicksilver.training.corpus.heldout_packages import HeldOutPackage
from quicksilver.training.corpus.licence_texts import grants, licences_in
from quicksilver.training.corpus.steps import PACKAGES
from quicksilver.training.heldout import fetch as heldout_fetch
from quicksilver.training.heldout import files as heldout_files
from quicksilver.training.heldout import step as heldout

MIT = (
    "MIT License\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy of this software. "
    "The above copyright notice and this permission notice shall be included.\n"
)
PKG_INFO = "Metadata-Version: 2.4\nName: thing\nVersion: 1.0\nLicense-Expression: MIT\n"
PYTHON = "import os\n\n\n" + "".join(
    f"def area_{i}(width, height):\n    total = width * height + {i}\n    return total\n\n\n" for i in range(8)
)
GO = "package thing\n\n" + "".join(
    f"func area{i}(width int, height int) int {{\n\ttotal := width*height + {i}\n\treturn total\n}}\n\n"
    for i in range(8)
)
PACKAGE = HeldOutPackage(
    name="thing", version="1.0", archive="thing-1.0.tar.gz", sha256="0" * 64, licence="MIT",
    first_release=datetime.date(2026, 5, 1), languages=("python", "go"),
)  # fmt: skip


def archive(folder: Path, files: dict[str, str], *, licence: str = MIT, metadata: str = PKG_INFO) -> Path:
    path = folder / PACKAGE.archive
    members = {"PKG-INFO": metadata, "LICENSE": licence, **files}
    with tarfile.open(path, "w:gz") as stream:
        for inside, text in members.items():
            info = tarfile.TarInfo(f"thing-1.0/{inside}")
            info.size = len(text.encode())
            stream.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("thing-1.0/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        stream.addfile(link)
    return path


def pinned(path: Path) -> HeldOutPackage:
    return replace(PACKAGE, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_list_is_what_its_page_says():
    packages = heldout_list.read_list(heldout_list.LIST)
    languages = [language for package in packages for language in package.languages]
    assert len(packages) >= 10 and languages.count("python") >= 5 and {*languages} == {*heldout_list.SUFFIXES}
    assert len({package.name for package in packages}) == len(packages)
    for package in packages:
        assert package.name == sources.canonical(package.name)
        assert package.archive.endswith(f"-{package.version}.tar.gz")


def test_no_held_out_package_is_trained_on():
    packages = heldout_list.read_list(heldout_list.LIST)
    heldout.check_names(packages, PACKAGES)
    assert {corpus.split_of(package.name) for package in packages} == {"heldout"}
    assert corpus.split_of("flask") == "train"


def test_a_package_that_is_also_pinned_for_training_is_refused(tmp_path):
    (tmp_path / "packages.txt").write_text("flask==3.0\nthing==1.0\n")
    with pytest.raises(InputError, match="thing is held out and pinned"):
        heldout.check_names([PACKAGE], tmp_path / "packages.txt")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("first_release = 2025-12-31", "2026-01-01 or later"),
        ('languages = ["cobol"]', "languages must be among"),
        ('sha256 = "abc"', "64 digits"),
        ('colour = "red"', "colour"),
        ("sha256 = ", "cannot be read"),
    ],
)
def test_an_entry_that_is_wrong_is_named(tmp_path, line, complaint):
    lines = {
        "name": 'name = "a"', "version": 'version = "1"', "archive": 'archive = "a-1.tar.gz"',
        "sha256": f'sha256 = "{"0" * 64}"', "licence": 'licence = "MIT"', "first_release": "first_release = 2026-01-01",
        "languages": 'languages = ["go"]',
    }  # fmt: skip
    lines[line.split(" =")[0]] = line
    path = tmp_path / "list.toml"
    path.write_text("[[package]]\n" + "\n".join(lines.values()) + "\n")
    with pytest.raises(InputError, match=complaint):
        heldout_list.read_list(path)


def pip_says(monkeypatch, text):
    result = subprocess.CompletedProcess([], 0, stdout="", stderr=text)
    monkeypatch.setattr(heldout_fetch.subprocess, "run", lambda *arguments, **options: result)


def test_pip_says_where_an_archive_lies(monkeypatch):
    pip_says(
        monkeypatch,
        "  Found link http://index.test/a/thing-1.0.tar.gz.metadata (from x)\n"
        "  Skipping link: http://index.test/a/other-thing-1.0.tar.gz (from x)\n"
        "  Skipping link: yanked: http://index.test/b/thing-1.0.tar.gz#sha256=00 (from x) (requires-python:>=3.9)\n",
    )
    assert heldout_fetch.find_link(PACKAGE) == "http://index.test/b/thing-1.0.tar.gz"


def test_an_archive_that_the_index_lacks(monkeypatch):
    pip_says(monkeypatch, "  Found link http://index.test/a/thing-1.1.tar.gz (from x)\nAvailable\x1b: 1.1\n")
    with pytest.raises(
        InputError, match=r"pip does not find thing-1\.0\.tar\.gz \(it says: Available\\x1b: 1\.1\): check pip"
    ):
        heldout_fetch.find_link(PACKAGE)


def test_an_archive_is_fetched_once_and_verified(tmp_path, monkeypatch):
    (tmp_path / "index").mkdir()
    package = pinned(path := archive(tmp_path / "index", {}))
    monkeypatch.setattr(heldout_fetch, "find_link", lambda package: path.as_uri())
    fetched = heldout_fetch.fetch(package, tmp_path / "archives")
    assert fetched.read_bytes() == path.read_bytes()
    path.unlink()
    assert heldout_fetch.fetch(package, tmp_path / "archives") == fetched
    fetched.write_bytes(b"damaged")
    with pytest.raises(InputError, match="delete"):
        heldout_fetch.fetch(package, tmp_path / "archives")


def test_other_bytes_than_were_pinned_are_not_kept(tmp_path, monkeypatch):
    path = archive(tmp_path, {})
    monkeypatch.setattr(heldout_fetch, "find_link", lambda package: path.as_uri())
    with pytest.raises(InputError, match="do not use them"):
        heldout_fetch.fetch(PACKAGE, tmp_path / "archives")
    assert not (tmp_path / "archives").exists()
    path.unlink()
    with pytest.raises(InputError, match="cannot be downloaded"):
        heldout_fetch.fetch(PACKAGE, tmp_path / "archives")


def test_only_code_that_people_wrote_is_kept(tmp_path):
    files = {
        "src/thing/area.py": PYTHON,
        "native/area.go": GO.replace("\n", "\r\n"),
        "web/area.js": "let a = 1;\n" * 40,  # no language of this package
        "src/thing/short.py": "x = 1\n",
        "src/thing/broken.py": PYTHON + "def f(:\n",
        "src/thing/_version.py": PYTHON,
        "src/thing/made.py": "# Code generated by a tool. DO NOT EDIT.\n" + PYTHON,
        "src/thing/table.py": "TABLE = [\n" + "    1, 2, 3, 4,\n" * 60 + "]\n",
        "src/thing/wide.py": PYTHON + f"x = '{'a ' * 400}'\n",
        "tests/helpers.py": PYTHON,
        "native/area_test.go": GO,
        "third_party/other.go": GO,
        "dist/area.py": PYTHON,
        "../outside.py": PYTHON,
        ".hidden/area.py": PYTHON,
    }
    found = heldout_files.read_files(PACKAGE, archive(tmp_path, files))
    assert found.texts == {("python", "src/thing/area.py"): PYTHON, ("go", "native/area.go"): GO}
    assert found.drops["test"] == 2 and found.drops["vendored, built or an example"] == 3
    assert found.drops["generated"] == 2 and found.drops["syntax errors, to the grammar"] == 1


def test_the_folders_of_the_list_count_as_source_whatever_their_names(tmp_path):
    package = replace(PACKAGE, folders=("tests/apps",))
    files = {"tests/apps/area.py": PYTHON, "tests/apps/test_area.py": PYTHON, "src/area.py": PYTHON}
    found = heldout_files.read_files(package, archive(tmp_path, files))
    assert [path for _, path in found.texts] == ["tests/apps/area.py"]


@pytest.mark.parametrize(
    ("licence", "metadata", "complaint"),
    [
        (MIT, "Metadata-Version: 2.4\nName: thing\nVersion: 1.0\n", "its metadata state no permissive licence"),
        (MIT, PKG_INFO.replace("MIT", "GPL-3.0-only"), "its metadata state no permissive licence"),
        ("GNU GENERAL PUBLIC LICENSE\n", PKG_INFO, "no licence file grants MIT"),
    ],
)
def test_a_licence_must_stand_in_metadata_and_in_a_file(tmp_path, licence, metadata, complaint):
    path = archive(tmp_path, {"area.py": PYTHON}, licence=licence, metadata=metadata)
    with pytest.raises(InputError, match=complaint):
        heldout_files.read_files(PACKAGE, path)


def test_a_damaged_archive_is_named(tmp_path):
    path = archive(tmp_path, {"area.py": PYTHON})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        heldout_files.read_files(PACKAGE, path)


def test_licence_texts():
    assert licences_in([MIT.upper().replace(" ", "\n")]) == {"MIT"}
    assert grants("MIT OR Apache-2.0", [MIT]) and not grants("Apache-2.0", [MIT])
    assert not grants("GPL-3.0-only", [MIT])


def made(tmp_path, monkeypatch, files):
    path = archive(tmp_path, files)
    monkeypatch.setattr(heldout, "read_list", lambda _: (PACKAGE,))
    monkeypatch.setattr(heldout, "fetch", lambda package, folder: path)
    out = tmp_path / "out"
    heldout.make_heldout(heldout.HeldOutStepOptions(out=out, folder=tmp_path / "runs"))
    return {each.relative_to(out).as_posix() for each in out.rglob("*") if each.is_file()}, out


def test_files_are_laid_out_by_language_and_copies_left_out(tmp_path, monkeypatch, capsys):
    files = {"a/area.py": PYTHON, "b/area.py": PYTHON.replace("import os", "import os, re"), "area.go": GO}
    written, out = made(tmp_path, monkeypatch, files)
    assert written == {"python/thing/a/area.py", "go/thing/area.go", "manifest.json"}
    assert (out / "go/thing/area.go").read_text() == GO
    entry = json.loads((out / "manifest.json").read_text())["packages"][0]
    assert entry["first_release"] == "2026-05-01" and entry["drops"] == {"near copy of another file": 1}
    assert entry["files"]["go/thing/area.go"] == hashlib.sha256(GO.encode()).hexdigest()
    assert "only the names were compared" in capsys.readouterr().out
    written, _ = made(tmp_path, monkeypatch, {"area.go": GO})
    assert written == {"go/thing/area.go", "manifest.json"}


def test_what_a_training_corpus_holds_is_left_out(tmp_path, monkeypatch, capsys):
    document = corpus.CorpusDocument("flask", "area.py", PYTHON.replace("import os", "import re"))
    report = corpus.CorpusReport(
        sources=[corpus.TextOrigin(name="flask", version="1", licence="MIT", sha256="", split="train")]
    )
    corpus.write([document], report, tmp_path / "runs" / "corpus")
    written, out = made(tmp_path, monkeypatch, {"area.py": PYTHON, "area.go": GO})
    assert written == {"go/thing/area.go", "manifest.json"}
    assert "near copy of a training document" in capsys.readouterr().out
    assert json.loads((out / "manifest.json").read_text())["compared_with"] == "corpus"


def test_a_folder_with_other_files_or_inside_the_checkout_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"also holds notes\.txt"):
        heldout.check_out(tmp_path)
    with pytest.raises(InputError, match="outside"):
        heldout.check_out(heldout.CHECKOUT / "runs" / "heldout")
    with pytest.raises(InputError, match="no folder"):
        heldout.check_out(tmp_path / "notes.txt")
