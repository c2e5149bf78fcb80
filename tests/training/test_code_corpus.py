"""Source in many languages: pins, archives of npm and Debian, licences, filters, and the folder that is written."""

import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus import code as code_corpus
from quicksilver.training.corpus import corpus
from quicksilver.training.corpus.code import CodeOptions, Collection, make_code
from quicksilver.training.corpus.code_filters import language_of, reason_to_drop
from quicksilver.training.corpus.code_packages import Pin, origins, read_package, read_pins
from quicksilver.training.corpus.sources import Package, Refused

CODE = "export function total(values) {\n  return values.reduce((a, b) => a + b, 0);\n}\n" * 4
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2020 Somebody
License: Expat

Files: src/gpl/*
Copyright: 2020 Somebody else
License: GPL-2+
 The text.

License: Expat
 Permission is hereby granted
"""


def tar(files: Mapping[str, str], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def npm(folder: Path, files: Mapping[str, str], licence: object = "MIT", name: str = "sums") -> tuple[Pin, Path]:
    pin = Pin("npm", name, "1.0.0")
    manifest = json.dumps({"name": name, "license": licence})
    path = folder / pin.file_name
    path.write_bytes(tar({f"package/{each}": text for each, text in {"package.json": manifest, **files}.items()}))
    return pin, path


def deb(folder: Path, files: Mapping[str, str], copyright_text: str = COPYRIGHT) -> tuple[Pin, Path]:
    pin = Pin("deb", "sums-dev", "1:2.0-1")
    files = {"usr/share/doc/sums-dev/copyright": copyright_text, **files}
    data = lzma.compress(tar({f"./{name}": text for name, text in files.items()}, "w"))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    content = b"!<arch>\n"
    for name, raw in members.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(raw):<10}`\n".encode() + raw + b"\n" * (len(raw) % 2)
    path = folder / pin.file_name
    path.write_bytes(content)
    return pin, path


def read(made: tuple[Pin, Path]) -> Package | Refused:
    return read_package(*made)


def test_pins_name_a_registry_a_package_and_a_version(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_text("# comment\nnpm @some/thing==1.2.3  # why\n\ndeb libfmt-dev==9.1.0+ds1-2\n")
    assert read_pins(path) == [Pin("npm", "@some/thing", "1.2.3"), Pin("deb", "libfmt-dev", "9.1.0+ds1-2")]
    assert Pin("npm", "@some/thing", "1.2.3").file_name == "npm__some_thing_1.2.3.tgz"
    path.write_text("npm fine==1\npip other==2\n")
    with pytest.raises(InputError, match="line 2"):
        read_pins(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pins(tmp_path / "none.txt")


def test_the_list_that_is_shipped_holds_no_held_out_package():
    pins = read_pins(code_corpus.PACKAGES)
    assert len(pins) == len(set(pins)) > 100
    assert not {pin.name for pin in pins} & corpus.HELD_OUT


@pytest.mark.parametrize("licence", ["GPL-3.0", "UNLICENSED", None, {"type": "MIT"}, "SEE LICENSE IN X"])
def test_npm_packages_without_a_permissive_licence_are_refused(tmp_path: Path, licence: object):
    assert isinstance(read(npm(tmp_path, {"a.js": CODE}, licence)), Refused)


def test_an_npm_package_is_read_without_its_outer_folder(tmp_path: Path):
    package = read(npm(tmp_path, {"lib/a.js": CODE}, "(MIT OR GPL-2.0)"))
    assert isinstance(package, Package)
    assert package.files["lib/a.js"].decode() == CODE and package.licence == "(MIT OR GPL-2.0)"


def test_files_of_a_debian_package_have_the_licence_of_the_last_rule_that_fits(tmp_path: Path):
    files = {"usr/share/sums/src/a.js": CODE, "usr/share/sums/src/gpl/b.js": CODE, "usr/share/doc/sums-dev/x.js": CODE}
    package = read(deb(tmp_path, files))
    assert isinstance(package, Package)
    assert package.licence == "MIT" and [*package.files] == ["usr/share/sums/src/a.js"]


@pytest.mark.parametrize("text", ["", COPYRIGHT.replace("Expat", "GPL-2+", 1), "no list of licences"])
def test_debian_packages_without_a_permissive_licence_are_refused(tmp_path: Path, text: str):
    assert isinstance(read(deb(tmp_path, {"usr/a.js": CODE}, text)), Refused)


@pytest.mark.parametrize("kind", ["npm", "deb"])
def test_a_damaged_archive_is_one_line(tmp_path: Path, kind: str):
    pin, path = (npm if kind == "npm" else deb)(tmp_path, {"a.js": CODE})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        read_package(pin, path)


@pytest.mark.parametrize(
    "path,text,reason",
    [
        ("src/a.ts", CODE, None),
        ("src/a.d.ts", CODE, "built or generated"),
        ("dist/a.js", CODE, "built or generated"),
        ("a.min.js", CODE, "built or generated"),
        ("node_modules/x/a.js", CODE, "built or generated"),
        ("vendor/a.go", CODE, "vendored"),
        ("a.py", CODE, "another kind of file"),
        ("LICENSE.md", CODE, "licence or list of changes"),
        ("a.js", "x", "too short"),
        ("a.json", '{"key": [1, 2, 3]},\n' * 1_000, "too long"),
        ("a.js", "// Code generated by a tool\n" + CODE, "generated"),
        ("a.js", "var x = " + "1 + " * 500, "long lines (minified or data)"),
        ("a.js", "\0" * 300, "data table"),
        ("bin/run", "#!/usr/bin/env bash\n" + "echo one\n" * 60, None),
        ("bin/run", "#!/usr/bin/perl\n" + CODE, "another kind of file"),
    ],
)
def test_what_enters(path: str, text: str, reason: str | None):
    assert reason_to_drop(path, text.encode()) == reason


def test_languages_are_told_by_the_end_of_the_name():
    assert [language_of(name, b"") for name in ("a.rs", "A.KT", "b.yml", "c")] == ["rust", "kotlin", "yaml", None]


def test_copies_enter_once_and_a_package_has_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = dict([npm(tmp_path, {"a.js": CODE, "b.js": CODE + "\n"})])
    [origin] = origins(made)
    collection = Collection()
    assert [document.text.strip() for document in collection.documents(origin)] == [CODE.strip()]
    assert collection.drops["exact duplicate"] == 1 and [*collection.n_chars] == ["javascript"]
    monkeypatch.setattr(code_corpus, "N_CHARS_PER_PACKAGE", 10)
    other = "function name(first, last) {\n  return `${first} ${last}`;\n}\n" * 5
    [origin] = origins(dict([npm(tmp_path, {"a.js": CODE, "b.js": other})]))
    collection = Collection()
    assert len([*collection.documents(origin)]) == 1
    assert collection.drops["over the cap of its package"] == 1


def test_the_step_writes_a_split_that_a_run_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    archives = tmp_path / "archives"
    archives.mkdir()
    npm(archives, {"a.js": CODE})
    pins = tmp_path / "list.txt"
    pins.write_text("npm sums==1.0.0\n")
    make_code(CodeOptions(packages=pins, folder=tmp_path))
    [document] = corpus.read(tmp_path / "code", "train")
    assert (document.package, document.path, document.text) == ("npm/sums", "a.js", CODE)
    manifest = json.loads((tmp_path / "code" / "manifest.json").read_text())
    assert manifest["sources"][0]["licence"] == "MIT" and manifest["missing"] == []
    assert "javascript" in capsys.readouterr().out
    pins.write_text("npm sums==1.0.0\nnpm h11==1.0.0\n")
    with pytest.raises(InputError, match="h11 is held out"):
        make_code(CodeOptions(packages=pins, folder=tmp_path))
