import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.errors import CheckpointError
from quicksilver.model.special_tokens import Special
from quicksilver.model.tokenizers.code_tokenizer import CodeTokenizer
from tiny import TEXTS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_round_trip(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text())
def test_user_text_never_becomes_special(text):
    assert all(token < TOKENIZER.n_text for token in TOKENIZER.encode(text))


@pytest.mark.parametrize("text", ["<mask>", "[MASK]", "<|endoftext|>", "<PAD><EOM>", "Special.MASK"])
def test_text_that_spells_special_tokens_stays_text(text):
    tokens = TOKENIZER.encode(text)
    assert TOKENIZER.decode(tokens) == text
    assert max(tokens) < TOKENIZER.n_text


def test_lone_surrogates_become_replacement_characters():
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a\ufffdb"


def test_line_break_with_indentation_is_one_token():
    [token] = TOKENIZER.encode("\n        ")
    assert TOKENIZER.bytes_of(token) == b"\n        "


def test_special_ids_lie_above_text_and_have_no_bytes():
    for special in Special:
        token = TOKENIZER.special(special)
        assert TOKENIZER.n_text <= token < TOKENIZER.vocab_size
        assert TOKENIZER.bytes_of(token) == b""


def test_beyond_the_vocabulary():
    with pytest.raises(IndexError):
        TOKENIZER.bytes_of(TOKENIZER.vocab_size)


def test_save_and_load(tmp_path):
    TOKENIZER.save(tmp_path / "t.json")
    loaded = CodeTokenizer.load(tmp_path / "t.json")
    assert loaded.encode(TEXTS[0]) == TOKENIZER.encode(TEXTS[0])
    assert loaded.vocab_size == TOKENIZER.vocab_size


@pytest.mark.parametrize("content", [None, "", "{}", "not json"])
def test_missing_or_damaged_file(tmp_path, content):
    path = tmp_path / "t.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError):
        CodeTokenizer.load(path)
