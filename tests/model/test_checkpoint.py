import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from quicksilver.fim.errors import CheckpointError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.checkpoint.checkpoint_files import Int8Matrix, as_float
from quicksilver.model.network.denoiser import Denoiser
from safetensors.numpy import load_file, save_file
from tiny import tiny_config, tiny_denoiser, tiny_tokenizer


@pytest.fixture
def folder(tmp_path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return tmp_path / "c"


def test_round_trip(folder):
    loaded = checkpoint.load(folder)
    original = tiny_denoiser(loaded.tokenizer.vocab_size)
    assert loaded.name == "tiny"
    for key, weight in original.state_dict().items():
        stored = loaded.model.state_dict()[key]
        step = weight.abs().amax(dim=1, keepdim=True) / 127 if weight.ndim == 2 else torch.zeros(1)
        assert ((stored - weight).abs() <= step / 2 + 1e-6).all(), key


def test_saving_again_changes_nothing(folder, tmp_path):
    loaded = checkpoint.load(folder)
    checkpoint.save(tmp_path / "again", "tiny", loaded.model, loaded.own_tokenizer)
    assert checkpoint.load(tmp_path / "again").sha256 == loaded.sha256


def test_matrices_stay_in_the_file_and_outlive_a_new_save(folder):
    """An engine that serves a folder keeps its weights when another checkpoint is saved there."""
    served = checkpoint.load(folder)
    kept = {key: as_float(weight) for key, weight in served.weights.items()}
    matrices = [weight for weight in served.weights.values() if isinstance(weight, Int8Matrix)]
    assert matrices and not any(matrix.values.flags.owndata for matrix in matrices)
    other = tiny_denoiser(served.tokenizer.vocab_size)
    for parameter in other.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    checkpoint.save(folder, "other", other, served.own_tokenizer)
    assert all(np.array_equal(as_float(served.weights[key]), weight) for key, weight in kept.items())
    assert checkpoint.load(folder).sha256 != served.sha256


def test_tensors_at_odd_places_are_read(folder):
    """A file from anybody may put numbers of four bytes anywhere."""
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    raw = (folder / checkpoint.WEIGHTS).read_bytes()
    n_header = int.from_bytes(raw[:8], "little")
    header = json.dumps(json.loads(raw[8 : 8 + n_header])).encode()
    header += b" " * (1 + (len(header) + 8) % 2)
    moved = len(header).to_bytes(8, "little") + header + raw[8 + n_header :]
    wanted = {key: as_float(weight).copy() for key, weight in checkpoint.load(folder).weights.items()}
    (folder / checkpoint.WEIGHTS).write_bytes(moved)
    config["sha256"][checkpoint.WEIGHTS] = hashlib.sha256(moved).hexdigest()
    (folder / checkpoint.CONFIG).write_text(json.dumps(config))
    for key, weight in checkpoint.load(folder).weights.items():
        assert np.array_equal(as_float(weight), wanted[key])
        assert (weight.scales if isinstance(weight, Int8Matrix) else weight).flags.aligned


@pytest.mark.parametrize("file", [checkpoint.WEIGHTS, checkpoint.TOKENIZER])
def test_a_changed_byte_is_noticed(folder, file):
    raw = bytearray((folder / file).read_bytes())
    raw[-2] ^= 1
    (folder / file).write_bytes(raw)
    with pytest.raises(CheckpointError, match="SHA-256"):
        checkpoint.load(folder)


@pytest.mark.parametrize("file", [checkpoint.WEIGHTS, checkpoint.TOKENIZER, checkpoint.CONFIG])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        checkpoint.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"denoiser": {"width": 3}},
        {"sha256": {}},
        {"sha256": ["model.safetensors", "tokenizer.json"]},
        {"sha256": {"../../etc/passwd": "0"}},
        {"name": 5},
    ],
)
def test_a_strange_config_is_refused(folder, change):
    path = folder / checkpoint.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", ["", "[]", "nonsense", "null", "\xff"])
def test_a_damaged_config_is_refused(folder, content):
    (folder / checkpoint.CONFIG).write_text(content, encoding="latin-1")
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)


def test_weights_of_another_shape_are_refused(folder):
    path = folder / checkpoint.CONFIG
    config = json.loads(path.read_text())
    config["denoiser"]["n_layers"] = 2
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.load(folder)


@pytest.mark.parametrize("change", [{}, {"copies_matches": False}, {"n_layers": 1, "n_kv_heads": 2}])
def test_the_shapes_that_a_config_names_are_those_of_its_denoiser(change):
    model = Denoiser(dataclasses.replace(tiny_config(330), **change))
    assert model.config.weight_shapes() == {key: tuple(weight.shape) for key, weight in model.state_dict().items()}


@pytest.mark.parametrize(
    "fault", ["missing", "more", "no scales", "other scales", "coarse scales", "no numbers", "int8 vector"]
)
def test_weights_that_do_not_fit_are_refused(folder, fault):
    path = folder / checkpoint.WEIGHTS
    arrays, scale = load_file(path), "blocks.0.ffn.down.weight.scale"
    if fault == "missing":
        del arrays["norm.weight"]
    elif fault == "more":
        arrays["other.weight"] = arrays["norm.weight"]
    elif fault == "no scales":
        del arrays[scale]
    elif fault == "coarse scales":
        arrays[scale] = arrays[scale].astype(np.float16)
    elif fault == "no numbers":
        arrays[scale] = arrays[scale] * np.float32("nan")
    elif fault == "int8 vector":
        arrays["norm.weight"], arrays["norm.weight.scale"] = (
            arrays["norm.weight"].astype(np.int8),
            arrays["norm.weight"],
        )
    else:
        arrays[scale] = arrays["norm.weight"][:-1]
    save_file(arrays, path)
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    config["sha256"][checkpoint.WEIGHTS] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / checkpoint.CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.load(folder)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.load(tmp_path / "nowhere")
