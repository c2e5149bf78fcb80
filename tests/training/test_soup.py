from dataclasses import replace

import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.training.cli import main
from quicksilver.training.export.average import average_checkpoints
from tiny import tiny_denoiser, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def saved(folder, seed, **changes):
    checkpoint.save(folder, "tiny", tiny_denoiser(TOKENIZER.vocab_size, seed, **changes), TOKENIZER)
    return folder


def test_the_mean_of_checkpoints_is_a_checkpoint_that_names_them(tmp_path, capsys):
    folders = [saved(tmp_path / name, seed) for seed, name in enumerate("abc")]
    main(["average", *map(str, folders), "--export", str(tmp_path / "mean")])
    assert "ranker" in capsys.readouterr().out
    mean, parts = checkpoint.load(tmp_path / "mean"), [checkpoint.load(folder) for folder in folders]
    assert mean.averaged_from == tuple(part.sha256 for part in parts)
    assert mean.name == "tiny"
    for name, weight in mean.model.state_dict().items():
        expected = sum(part.model.state_dict()[name] for part in parts) / 3
        torch.testing.assert_close(weight, expected, rtol=0.02, atol=0.02)  # int8 on disk


def test_the_parts_stay_as_they_are(tmp_path):
    parts = [checkpoint.load(saved(tmp_path / name, seed)) for seed, name in enumerate("ab")]
    before = parts[0].model.embedding.weight.clone()
    assert not torch.equal(average_checkpoints(parts).model.embedding.weight, before)
    assert torch.equal(parts[0].model.embedding.weight, before)


def test_what_has_no_mean(tmp_path):
    part = checkpoint.load(saved(tmp_path / "a", 0))
    other_shape = checkpoint.load(saved(tmp_path / "b", 0, copies_matches=False))
    texts = ["quite other text " * 20]
    other_tokens = replace(part, tokenizer=type(TOKENIZER).train(texts, TOKENIZER.vocab_size))
    with pytest.raises(InputError, match="two"):
        average_checkpoints([part])
    with pytest.raises(InputError, match="shape"):
        average_checkpoints([part, other_shape])
    with pytest.raises(InputError, match="tokenizers"):
        average_checkpoints([part, other_tokens])
