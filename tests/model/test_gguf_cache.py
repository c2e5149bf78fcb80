"""A GGUF file that somebody names as a model: converted once, known again, served."""

import json
import os
from pathlib import Path

import pytest
from bad_files import refusal
from quicksilver.fim.models.embedded import find_model
from quicksilver.model.gguf import convert as gguf_import
from quicksilver.model.gguf.cache import checkpoint_folder
from quicksilver.model.storage.folder_files import read_json
from tiny_gguf import TinyGguf


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def imports(monkeypatch) -> list[Path]:
    """The files that were converted."""
    found: list[Path] = []
    real = gguf_import.import_gguf

    def counted(path: Path, folder: Path, **how) -> None:
        found.append(path)
        real(path, folder, **how)

    monkeypatch.setattr(gguf_import, "import_gguf", counted)
    return found


def test_a_folder_is_itself_and_no_model_is_the_embedded_one(tmp_path):
    assert checkpoint_folder(tmp_path) == tmp_path
    (tmp_path / "odd.gguf").mkdir()
    assert checkpoint_folder(tmp_path / "odd.gguf") == tmp_path / "odd.gguf"


def test_a_file_is_converted_once(tmp_path, home, imports):
    path = TinyGguf(fields={"general.license": "mit"}).write(tmp_path / "My model.GGUF")
    folder = checkpoint_folder(find_model(str(path)))
    assert folder.parent == home / "converted" and folder.name.startswith("My model-")
    config = read_json(folder / "config.json")
    assert config["name"] == "My model"
    assert (config["source"]["file"], config["source"]["licence"]) == ("My model.GGUF", "mit")
    assert checkpoint_folder(path) == folder
    assert imports == [path]


def test_a_changed_file_is_converted_again(tmp_path, imports):
    path = TinyGguf().write(tmp_path / "m.gguf")
    first = checkpoint_folder(path)
    TinyGguf(seed=1).write(path)
    os.utime(path, ns=(1, 1))
    assert checkpoint_folder(path) != first
    assert len(imports) == 2


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_copy_is_made_again(file, tmp_path, imports):
    path = TinyGguf().write(tmp_path / "m.gguf")
    folder = checkpoint_folder(path)
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[:-5] + b"xxxxx")
    assert checkpoint_folder(path) == folder
    assert (folder / file).read_bytes() == whole
    assert len(imports) == 2


def test_a_file_that_is_no_model_is_one_line(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGML" + bytes(100))
    assert "does not begin with GGUF" in refusal(lambda: checkpoint_folder(path))
    path.unlink()
    assert "there is no m.gguf" in refusal(lambda: checkpoint_folder(path))


@pytest.mark.slow
def test_the_engine_serves_a_file(tmp_path):
    from quicksilver.serving.process.loading import LoadPlan, load_model

    path = TinyGguf().write(tmp_path / "m.gguf")
    assert load_model(path, 1, plan=LoadPlan(runtime="torch")).name == "m"


def test_a_copy_from_before_templates_were_kept_gets_the_files_own(tmp_path, imports):
    fields = {"tokenizer.chat_template": "{{ messages[0].content }}<|im_end|>"}
    path = TinyGguf(fields=fields).write(tmp_path / "m.gguf")
    folder = checkpoint_folder(path)
    config = read_json(folder / "config.json")
    assert config["chat"]["template"] == fields["tokenizer.chat_template"]
    assert config["chat"]["specials"]["<|im_end|>"] in config["marks"]["specials"]
    assert not any(text.startswith("[PAD") for text in config["chat"]["specials"])
    del config["chat"]
    (folder / "config.json").write_text(json.dumps(config))
    assert checkpoint_folder(path) == folder
    assert read_json(folder / "config.json")["chat"]["template"] == fields["tokenizer.chat_template"]
    assert imports == [path]


def test_a_file_without_a_template_says_so_once(tmp_path):
    folder = checkpoint_folder(TinyGguf().write(tmp_path / "m.gguf"))
    assert read_json(folder / "config.json")["chat"] is None
