"""What the engine loads where no model is named, and what it says of it, on tiny weights."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.files.user_folders import models_folder, speeds_file
from quicksilver.fim.models.speeds import ModelSpeed, known_speeds
from quicksilver.serving.process.loading import LoadPlan, load_model

pytestmark = pytest.mark.slow
PLAN = LoadPlan(runtime="torch")
DAY_S = 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Folders of a tiny coder, base and nano."""
    from quicksilver.model.checkpoint.checkpoint import save
    from quicksilver.model.network.denoiser import Denoiser
    from tiny import tiny_denoiser, tiny_tokenizer
    from tiny_body import body_config, save_body

    folder, tokenizer = tmp_path_factory.mktemp("models"), tiny_tokenizer()
    save_body(folder / "coder", Denoiser(replace(body_config(), ffn_width=2048)))  # the largest of them
    for seed, name in enumerate(("base", "nano")):
        save(folder / name, name, tiny_denoiser(tokenizer.vocab_size, seed=seed), tokenizer)
    return folder


@pytest.fixture(autouse=True)
def coder(made, tmp_path, monkeypatch) -> Path:
    """The folder of the coder that was fetched."""
    monkeypatch.setenv("QUICKSILVER_HOME", str(tmp_path))
    monkeypatch.setattr("quicksilver.model.choice.tiers.CHECKPOINTS", made)
    shutil.copytree(made / "coder", models_folder() / "coder")
    return models_folder() / "coder"


@pytest.fixture
def machine(monkeypatch) -> dict[str, float]:
    """Milliseconds a key of each model, by name; what was measured is counted in "n"."""
    takes = {"tiny-body": 115.0, "base": 40.0, "nano": 10.0, "n": 0}

    def measured(infiller) -> ModelSpeed:
        takes["n"] += 1
        return ModelSpeed(
            model=infiller.name, device="cpu", key_ms=takes[infiller.name], token_ms=2.5, resident_mb=900,
            measured_s=takes.get("now", 1e12 - 1),
        )  # fmt: skip

    monkeypatch.setattr("quicksilver.model.choice.speed.measure_speed", measured)
    monkeypatch.setattr("quicksilver.serving.process.loading.time.time", lambda: takes.get("now", 1e12 - 1))
    return takes


def served(plan: LoadPlan = PLAN) -> tuple[str, str]:
    infiller = load_model(None, 1, plan=plan)
    return infiller.name, str(infiller.describe().get("choice"))


def test_coder_is_served_where_it_is_fast_and_measured_once(machine):
    wanted = ("tiny-body", "coder: a warm key takes 115 ms here")
    assert served() == wanted and machine["n"] == 1
    assert served() == wanted and machine["n"] == 1
    (speed,) = known_speeds().values()
    assert (speed.model, speed.key_ms) == ("tiny-body", 115.0)


def test_where_coder_is_slow_base_is_served_and_coder_is_tried_again_a_day_later(machine):
    machine["tiny-body"], machine["now"] = 640, 1e9
    wanted = ("base", "base: coder takes 640 ms a key here, more than 250")
    assert served() == wanted and machine["n"] == 2
    assert served() == wanted and machine["n"] == 2
    machine["now"] += DAY_S
    machine["tiny-body"] = 120
    assert served()[1] == "coder: a warm key takes 120 ms here"
    machine["now"] += DAY_S
    machine["tiny-body"] = 640  # the machine is busy just now
    assert served()[1] == "coder: a warm key takes 120 ms here"


def test_a_damaged_copy_lets_base_serve(machine, coder, caplog):
    weights = bytearray((coder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (coder / "model.safetensors").write_bytes(weights)
    name, choice = served()
    assert name == "base" and choice.startswith("base: coder cannot be used: ") and "SHA-256" in choice
    assert choice.endswith("; `quicksilver fetch coder` gets it again")
    assert "coder cannot be used" in caplog.text


@pytest.mark.parametrize("content", ["{", '{"format": 1}', "[]", ""])
def test_a_config_that_makes_no_sense_lets_base_serve(machine, coder, content):
    (coder / "config.json").write_text(content)
    name, choice = served()
    assert name == "base" and "coder cannot be used" in choice


def test_too_little_memory_lets_base_serve(machine, coder, monkeypatch):
    n_bytes = (coder / "model.safetensors").stat().st_size
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1.9 * n_bytes})())
    name, choice = served()
    assert name == "base" and "of memory" in choice and "\n" not in choice


def test_a_damaged_file_of_speeds_is_measured_anew(machine):
    served()
    speeds_file().write_text("not JSON")
    assert served()[0] == "tiny-body" and machine["n"] == 2


def test_a_named_model_is_served_however_slow(machine, coder):
    machine["tiny-body"] = 9000
    infiller = load_model(coder, 1, plan=PLAN)
    assert infiller.describe()["choice"] == "tiny-body: named with --model"
    assert json.loads(speeds_file().read_text())


def test_contexts_of_a_body_are_as_long_as_is_read_in_a_second_or_as_is_said(machine, coder):
    for model in (None, coder):
        assert load_model(model, 1, plan=PLAN).describe()["context_tokens"] == 384 - 96
        plan = LoadPlan(runtime="torch", context_tokens=500)
        assert load_model(model, 1, plan=plan).describe()["context_tokens"] == 500 - 96
    with pytest.raises(InputError, match="from 64 to 512"):
        load_model(coder, 1, plan=LoadPlan(runtime="torch", context_tokens=513))


@pytest.mark.parametrize("yarn", [False, True])
def test_a_model_that_stands_in_for_another_reads_what_it_can(machine, coder, made, caplog, yarn):
    shutil.rmtree(coder)
    plan = LoadPlan(runtime="torch", context_tokens=100_000, yarn=yarn)
    infiller = load_model(None, 1, plan=plan)
    assert infiller.name == "base" and infiller.describe()["context_tokens"] == 96
    assert "base reads at most 128 tokens of context" in caplog.text and ("--yarn is for" in caplog.text) == yarn
    with pytest.raises(InputError):
        load_model(made / "base", 1, plan=plan)


def test_options_that_do_not_suit_are_told():
    with pytest.raises(InputError, match="leave --yarn out"):
        load_model(None, 1, plan=LoadPlan(runtime="torch", device="cpu", yarn=True))
    with pytest.raises(InputError, match="for published models"):
        load_model(None, 1, plan=LoadPlan(runtime="torch", family="dream"))


def test_where_nothing_can_be_used_one_line_says_so(machine, coder, monkeypatch, tmp_path):
    (coder / "config.json").unlink()
    monkeypatch.setattr("quicksilver.model.choice.tiers.CHECKPOINTS", tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no model came with this installation"):
        served()
