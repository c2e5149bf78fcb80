import io
import tarfile
import zipfile

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus import sources

METADATA = "Metadata-Version: 2.4\nName: Some.Thing\nVersion: 1.0\nLicense-Expression: MIT\n"


def wheel(folder, name="some_thing", version="1.0", metadata=METADATA, **files):
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        for inside, text in files.items():
            archive.writestr(f"{name}/{inside}.py", text)
    return path


def sdist(folder, members, name="some_thing-1.0.tar.gz"):
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for inside, raw in members.items():
            info = tarfile.TarInfo(inside)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
        link = tarfile.TarInfo("some_thing-1.0/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return path


def read(folder, **pinned):
    found = sources.archives(folder, {sources.canonical(k): v for k, v in pinned.items()})
    return [origin.read() for origin in sources.origins(found)]


def test_a_wheel_is_read_and_hashed(tmp_path):
    wheel(tmp_path, a="x = 1\n")
    (package,) = read(tmp_path, some_thing="1.0")
    assert isinstance(package, sources.Package)
    assert (package.name, package.version, package.licence) == ("some-thing", "1.0", "MIT")
    assert dict(package.files) == {"some_thing/a.py": b"x = 1\n"}
    assert len(package.sha256) == 64


def test_a_source_archive_is_read_without_links_and_setup_runs_nothing(tmp_path):
    trap = b"open('/tmp/must-not-exist-quicksilver', 'w')\n"
    members = {"s-1/PKG-INFO": METADATA.encode(), "s-1/a.py": b"x = 1\n", "s-1/setup.py": trap, "s-1/data.bin": b"\0"}
    sdist(tmp_path, members)
    (package,) = read(tmp_path, some_thing="1.0")
    assert isinstance(package, sources.Package)
    assert set(package.files) == {"a.py", "setup.py"}


def test_a_wheel_goes_before_a_source_archive(tmp_path):
    sdist(tmp_path, {"s-1/PKG-INFO": METADATA.encode()})
    wheel(tmp_path, a="x = 1\n")
    assert [path.suffix for path in sources.archives(tmp_path, {"some-thing": "1.0"}).values()] == [".whl"]


def test_only_what_is_pinned_is_read(tmp_path):
    wheel(tmp_path, version="0.9")
    wheel(tmp_path, name="other")
    assert read(tmp_path, some_thing="1.0") == []


@pytest.mark.parametrize("metadata", ["Name: a\n", METADATA.replace("MIT", "GPL-3.0-only")])
def test_other_licences_are_refused(tmp_path, metadata):
    wheel(tmp_path, metadata=metadata)
    sdist(tmp_path, {"s-1/PKG-INFO": metadata.encode()}, name="third-1.0.tar.gz")
    found = read(tmp_path, some_thing="1.0", third="1.0")
    assert [type(each) for each in found] == [sources.Refused, sources.Refused]


def test_large_files_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "N_FILE_BYTES_MAX", 100)
    wheel(tmp_path, small="x = 1\n", large="x = 1\n" * 100)
    (package,) = read(tmp_path, some_thing="1.0")
    assert isinstance(package, sources.Package)
    assert list(package.files) == ["some_thing/small.py"]
    monkeypatch.setattr(sources, "N_PACKAGE_BYTES_MAX", 3)
    assert read(tmp_path, some_thing="1.0") == [
        sources.Refused("some_thing-1.0-py3-none-any.whl", "unpacks to more than a gigabyte")
    ]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-40], lambda raw: raw[:40], lambda _: b"", lambda _: b"no archive"]
)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_damaged_archives_are_named(tmp_path, kind, damage):
    members = {"s-1/PKG-INFO": METADATA.encode(), "s-1/a.py": bytes(range(256)) * 40}
    path = wheel(tmp_path, a="x = 1\n" * 99) if kind == "wheel" else sdist(tmp_path, members)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"is damaged .*delete it") as caught:
        read(tmp_path, some_thing="1.0")
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pins_and_lines_that_are_none(tmp_path):
    file = tmp_path / "packages.txt"
    file.write_text("# all of them\nSome.Thing==1.0  # why\n\nother==2026.1\n")
    assert sources.pins(file) == {"some-thing": "1.0", "other": "2026.1"}
    file.write_text("a==1\nother>=2\n")
    with pytest.raises(InputError, match="line 2"):
        sources.pins(file)
    with pytest.raises(InputError, match="cannot be read"):
        sources.pins(tmp_path / "none.txt")


def test_nothing_is_fetched_when_everything_is_there(tmp_path, monkeypatch):
    wheel(tmp_path)
    (tmp_path / "packages.txt").write_text("some-thing==1.0\n")

    def run(*_arguments, **_options):
        raise AssertionError("pip was started")

    monkeypatch.setattr(sources.subprocess, "run", run)
    sources.download(tmp_path / "packages.txt", tmp_path)


def test_a_failed_download_is_one_line_and_keeps_what_came(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / "links").mkdir()
    wheel(tmp_path / "links")
    (tmp_path / "packages.txt").write_text("some-thing==1.0\n")
    sources.download(tmp_path / "packages.txt", tmp_path / "wheels")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == ["some_thing-1.0-py3-none-any.whl"]
    (tmp_path / "packages.txt").write_text("some-thing==1.0\nnot-there==1.0\n")
    with pytest.raises(InputError, match="pip could not download"):
        sources.download(tmp_path / "packages.txt", tmp_path / "wheels")


def test_the_standard_library_is_there_without_its_tests():
    package = sources.standard_library().read()
    assert isinstance(package, sources.Package)
    assert "dataclasses.py" in package.files
    assert not any(path.startswith(("test/", "site-packages/")) for path in package.files)


def test_installed_distributions_are_read_but_for_those_left_out():
    found = {origin.name: origin for origin in sources.installed_distributions(frozenset({"rich"}))}
    assert "rich" not in found
    package = found["pytest"].read()
    assert isinstance(package, sources.Package)
    assert "pytest/__init__.py" in package.files
    assert package.licence == "MIT"
