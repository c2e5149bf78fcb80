"""The answer log."""

import pytest
from quicksilver.benchmarks.quality.answer_log import AnswerLog, Record
from quicksilver.benchmarks.quality.decoders import Attempt
from quicksilver.fim.errors import InputError

FIRST = Record("w/float32/c", "causal", "key1", Attempt("naïve\n\t'", 3, 0.5, 1.5), True)
SECOND = Record("w/float32/c", "floor-empty", "key1", Attempt(""), None)


def test_answers_outlive_a_kill(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path) as log:
        log.add([FIRST])
        log.add([SECOND])
    whole = path.read_bytes()
    for n_lost in (0, 1, 30, len(whole.splitlines()[1]) - 1):
        path.write_bytes(whole[: len(whole) - n_lost])
        with AnswerLog(path) as log:
            assert log.find("w/float32/c", "causal", "key1") == FIRST
            assert log.find("w/float32/c", "floor-empty", "key1") == (None if n_lost else SECOND)
            assert log.find("other/float32/c", "causal", "key1") is None
            log.add([SECOND])
        with AnswerLog(path) as log:
            assert log.find("w/float32/c", "floor-empty", "key1") == SECOND


def test_a_log_needs_no_file():
    with AnswerLog(None) as log:
        log.add([FIRST])
        assert log.find("w/float32/c", "causal", "key1") == FIRST


@pytest.mark.parametrize("content", [b'{"scores": []}\n', b"plain text", b"\xff\xfe\x00", b'{"by": 1}\n'])
def test_foreign_files_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no answers"):
        AnswerLog(path)
    assert path.read_bytes() == content


def test_two_evaluations_do_not_share_a_file(tmp_path):
    with AnswerLog(tmp_path / "a.jsonl"), pytest.raises(InputError, match="another evaluation"):
        AnswerLog(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="cannot use"):
        AnswerLog(tmp_path / "none" / "a.jsonl")
