"""Which languages a checkpoint completes by itself: the engine says so among its facts."""

import json

import pytest
from quicksilver.fim.text.language_ids import CODE_SUFFIXES, TEXT_SUFFIXES, language_id
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.languages import MANY, languages_of
from quicksilver.model.load_infiller import load_infiller
from tiny import tiny_denoiser, tiny_tokenizer


def test_a_config_with_infilling_marks_is_one_of_a_general_code_model():
    assert languages_of({"format": "quicksilver-denoiser-1"}) == ("python",)
    assert languages_of({"format": "quicksilver-denoiser-1", "marks": {}}) == MANY


def test_every_language_is_named_by_its_id_and_has_files():
    assert {language_id(name) for name in MANY} == set(MANY) == {*CODE_SUFFIXES.values(), *TEXT_SUFFIXES.values()}


@pytest.mark.parametrize(("marks", "languages"), [({}, "python"), ({"marks": {"prefix": 1}}, " ".join(MANY))])
def test_an_infiller_says_what_it_knows(tmp_path, marks, languages):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | marks), encoding="utf-8")
    assert load_infiller(tmp_path, runtime="torch").describe()["languages"] == languages
