import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.tokenizers.code_tokenizer import CodeTokenizer
from quicksilver.training import cli as command
from quicksilver.training.corpus import corpus, shards
from quicksilver.training.corpus.corpus import CorpusDocument

CODE = "".join(f"def function_{i}(first, second):\n    return first + second * {i}\n\n\n" for i in range(20))
ODD = ["x = '🧪 naïve \u2028 \u200d'\n" * 3, "", "\t \n\n\n  \n", "\x0c\x00\x7f", "пример = 1\n", CODE]
DOCUMENTS = [CorpusDocument(f"p{i % 2}", f"p/{i}.py", text) for i, text in enumerate(ODD)]


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    CodeTokenizer.train([CODE], 512).save(path)
    return path


@pytest.fixture
def folder(tmp_path, tokenizer_file):
    shards.write(tmp_path / "shards", {"train": DOCUMENTS, "valid": DOCUMENTS[:2]}, tokenizer_file)
    return tmp_path / "shards"


def test_documents_come_back_exactly(folder):
    assert shards.read(folder, "train") == DOCUMENTS
    assert shards.read(folder, "valid") == DOCUMENTS[:2]


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=300), min_size=1, max_size=8))
def test_any_text_comes_back_exactly_over_any_borders(texts, tmp_path_factory, tokenizer_file):
    folder = tmp_path_factory.mktemp("any") / "shards"
    documents = [CorpusDocument("p", f"{i}.py", text) for i, text in enumerate(texts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "N_TOKENS_PER_SHARD", 50)
        patch.setattr(shards, "N_BATCH_CHARS", 20)
        patch.setattr(shards, "N_DECODE_TOKENS", 7)
        written = shards.write(folder, {"train": documents}, tokenizer_file)
        assert shards.read(folder, "train") == documents
    assert sum(shard.n_documents for shard in written) == len(documents)


def test_several_shards_are_written_and_listed(tmp_path, tokenizer_file, monkeypatch):
    monkeypatch.setattr(shards, "N_TOKENS_PER_SHARD", 100)
    monkeypatch.setattr(shards, "N_BATCH_CHARS", 100)
    documents = [CorpusDocument("p", f"{i}.py", CODE[i * 100 : i * 100 + 300]) for i in range(9)]
    done = []
    written = shards.write(tmp_path / "shards", {"train": documents}, tokenizer_file, done.append)
    assert len(written) > 2
    assert sum(done) == sum(len(d.text) for d in documents)
    assert shards.read(tmp_path / "shards", "train") == documents
    index = json.loads((tmp_path / "shards" / "index.json").read_text())
    assert index["format"] == shards.FORMAT
    assert [s["file"] for s in index["shards"]] == [f"train-{i:03}.shard" for i in range(len(written))]


def refused(folder, *words):
    with pytest.raises(InputError) as caught:
        shards.read(folder, "train")
    assert all(word in str(caught.value) for word in (*words, "train shards")), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [0, 10, 40, 200, -1])
def test_a_changed_byte_is_found(folder, at):
    path = folder / "train-000.shard"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    refused(folder, "train-000.shard")


def test_cut_empty_foreign_and_missing_shards(folder):
    path = folder / "train-000.shard"
    raw = path.read_bytes()
    for damaged in (raw[:-1], raw[:30], b"", b"\x89PNG\r\n"):
        path.write_bytes(damaged)
        refused(folder, "train-000.shard")
    path.unlink()
    refused(folder, "train-000.shard")


def test_a_shard_of_another_tokenizer_is_refused_even_with_a_forged_index(folder, tmp_path):
    CodeTokenizer.train([CODE * 2, "other text"], 400).save(tmp_path / "other.json")
    shards.write(tmp_path / "others", {"train": DOCUMENTS}, tmp_path / "other.json")
    (folder / "train-000.shard").write_bytes((tmp_path / "others" / "train-000.shard").read_bytes())
    refused(folder, "train-000.shard")
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0] = json.loads((tmp_path / "others" / "index.json").read_text())["shards"][0]
    (folder / "index.json").write_text(json.dumps(index))
    refused(folder, "train-000.shard", "belongs to other shards")


def test_the_tokenizer_must_be_the_right_one(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text() + " ")
    refused(folder, "tokenizer.json")
    path.unlink()
    refused(folder, "tokenizer.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 1, "tokenizer": "", "shards": [1]}'])
def test_a_damaged_index_is_refused(folder, text):
    (folder / "index.json").write_text(text)
    refused(folder, "index.json")


def test_other_formats_and_missing_splits(folder, tmp_path):
    with pytest.raises(InputError, match="no heldout split"):
        shards.read(folder, "heldout")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "format": 2}))
    with pytest.raises(InputError, match="format 2"):
        shards.read(folder, "train")
    refused(tmp_path / "none", "no token shards")


def test_a_failure_leaves_the_old_shards(folder, tokenizer_file, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.lzma, "compress", full)
    with pytest.raises(OSError, match="No space"):
        shards.write(folder, {"train": DOCUMENTS[:1]}, tokenizer_file)
    monkeypatch.undo()
    assert shards.read(folder, "train") == DOCUMENTS
    assert [path.name for path in folder.parent.iterdir()] == ["shards"]


def test_no_tokenizer_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no none\.json"):
        shards.write(tmp_path / "shards", {"train": DOCUMENTS}, tmp_path / "none.json")


def test_the_step(tmp_path, tokenizer_file, capsys):
    report = corpus.CorpusReport(sources=[])
    documents = [CorpusDocument("alpha", f"{i}.py", CODE + str(i)) for i in range(5)]
    documents += [CorpusDocument("werkzeug", "a.py", CODE), CorpusDocument("astropy", "a.py", CODE)]
    report.sources.append(
        corpus.TextOrigin(
            name="alpha", version="1", licence="MIT", sha256="0" * 64, split="train", n_files=5, n_chars=5
        )
    )
    corpus.write(documents, report, tmp_path / "corpus")
    (tmp_path / "tokenizer-nano.json").write_bytes(tokenizer_file.read_bytes())
    command.main(["shards", "--folder", str(tmp_path), "--size", "nano"])
    assert shards.read(tmp_path / "shards-nano", "train") == documents[:5]
    assert "train: 1 shards, 5 documents" in capsys.readouterr().out
