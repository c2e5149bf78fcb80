"""A published body's tokenizer: text comes back as it was, and cutting a text at a boundary changes no token."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import CheckpointError
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer, plain_tokenizer
from quicksilver.model.tokenizers.canvas_tokens import canvas_tokens
from quicksilver.model.tokenizers.code_tokenizer import byte_characters
from quicksilver.model.tokenizers.marks import HoleMarks, Marks
from quicksilver.model.tokenizers.piece_boundaries import MAX_HEALED, PieceBoundaries
from quicksilver.model.tokenizers.text_tokenizer import LONE_SURROGATE
from tiny_body import N_TEXT, PATTERNS, SPECIALS, marks_of, tiny_body_tokenizer, tokenizer_file

PIECES = st.sampled_from(
    [
        *"abxyzRT019 \n\t()[]{}:;,._'\"/#=", " ", "    ", "\n", "\n    ", "):\n", "'s", "'ll", "  \n", "\r", "\r\n",
        "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u00a0", "é", "e\u0301", "ñ", "😀", "Ǆ", "中", "٣", "\ud800",
        "\udc00", "return", "self", "if x", "//", "12345", *SPECIALS,
    ]
)  # fmt: skip
TEXT = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=20))
PROPERTY = settings(max_examples=60, deadline=None)
EVERY = pytest.mark.parametrize("pattern", PATTERNS)


@EVERY
@PROPERTY
@given(text=TEXT)
def test_text_comes_back(pattern: str, text: str):
    tokenizer = tiny_body_tokenizer(pattern)
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == LONE_SURROGATE.sub("\ufffd", text)
    assert not set(tokens) & set(tokenizer.marks.specials)
    assert tokenizer.encode_batch([text, "x"]) == [tokens, tokenizer.encode("x")]


def pieces(pattern: str, text: str) -> list[str]:
    """How a pattern cuts text; a tiny vocabulary has too few merges to show a wrong cut."""
    cutter = plain_tokenizer(tokenizer_file(pattern)).pre_tokenizer
    assert cutter is not None
    return [piece for piece, _ in cutter.pre_tokenize_str(LONE_SURROGATE.sub("\ufffd", text))]


@EVERY
@PROPERTY
@given(text=TEXT)
@example(text="x:\n\ry")
@example(text=":\n//")
@example(text="):\x1c\n")
def test_a_text_may_be_cut_at_its_last_boundary(pattern: str, text: str):
    tokenizer = tiny_body_tokenizer(pattern)
    at = tokenizer.last_boundary(text)
    assert pieces(pattern, text[:at]) + pieces(pattern, text[at:]) == pieces(pattern, text)
    assert tokenizer.encode(text[:at]) + tokenizer.encode(text[at:]) == tokenizer.encode(text)


@EVERY
@pytest.mark.parametrize("text", ["a = 1\n\nb(c):\n    x", '{\n  "name": 1,\n  "b": [1],\n', "if (x) {\n\ty;\n\n\n\n"])
def test_code_has_a_boundary_in_its_last_lines(pattern: str, text: str):
    at = tiny_body_tokenizer(pattern).last_boundary(text)
    assert at >= text.rstrip().rfind("\n") - 8 and at > 0


@EVERY
@PROPERTY
@given(text=TEXT, more=TEXT)
@example(text="a\n    ", more="\n")
@example(text="a\n\n  ", more="\n  \n")
@example(text="a:\n", more="/")
@example(text="it'", more="s")
def test_whatever_follows_changes_no_token_before_the_open_piece(pattern: str, text: str, more: str):
    tokenizer = tiny_body_tokenizer(pattern)
    piece = tokenizer.open_piece(text)
    assert text.endswith(piece)
    kept = text.removesuffix(piece)
    if len(piece.encode("utf-8", "replace")) > MAX_HEALED // 2:
        return  # perhaps only a part of what is open
    assert pieces(pattern, text + more)[: len(pieces(pattern, kept))] == pieces(pattern, kept)
    assert tokenizer.encode(text + more)[: len(tokenizer.encode(kept))] == tokenizer.encode(kept)


def test_a_long_line_is_not_cut_as_a_whole_at_each_key(monkeypatch: pytest.MonkeyPatch):
    lengths: list[int] = []
    ends = PieceBoundaries.ends
    monkeypatch.setattr(PieceBoundaries, "ends", lambda self, text: lengths.append(len(text)) or ends(self, text))
    boundaries = PieceBoundaries(plain_tokenizer(tokenizer_file()))
    assert boundaries.open_end("x=1;" * 5_000 + "ret") == ";ret"
    assert boundaries.open_end("x = 1; " * 5_000 + "ret") == " ret"
    assert max(lengths) < 2_000


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", ""), ("x", "x"), ("a\nret", "ret"), ("x = ret", " ret"), ("f(", "("), ("f(x):\n", "):\n"), ("x\n", "\n"),
        ("f(x):\n    ", "    "), ("x\n    ", "\n    "), ("x\n\n    ", "\n\n    "), ("x = 'a b", " b"), ("x  ", "  "),
        ("caf" + "é", "café"), ("x\n" + " " * 100, " "),
        ("x\n" + " " * (MAX_HEALED - 1), "\n" + " " * (MAX_HEALED - 1)),
        ("x\n" + " " * MAX_HEALED, " " * MAX_HEALED), ("y" * 50, ""),
    ],
)  # fmt: skip
def test_open_pieces_at_every_kind_of_cursor(text: str, piece: str):
    assert tiny_body_tokenizer().open_piece(text) == piece


def starts(pieces: list[bytes], rest: bytes) -> list[int]:
    return [i for i, piece in enumerate(pieces) if piece and (piece.startswith(rest) or rest.startswith(piece))]


@PROPERTY
@given(rest=st.text(min_size=1, max_size=4).map(lambda text: text.encode("utf-8", "replace")))
@example(rest=b"):\n")
@example(rest=b"\x80")
@example(rest=b"    ")
@example(rest=b"return it")
def test_tokens_that_agree_with_a_text(rest: bytes):
    tokenizer = tiny_body_tokenizer()
    pieces = [tokenizer.bytes_of(i) for i in range(tokenizer.vocab_size)]
    assert sorted(tokenizer.agreeing_with(rest)) == starts(pieces, rest)
    found = tokenizer.beginning_with(rest)
    assert sorted(found) == [i for i in starts(pieces, rest) if pieces[i].startswith(rest)]
    assert len(tokenizer.agreeing_with(rest)) > 0


MARKS = {"prefix": 1, "suffix": 2, "middle": 3, "end": 4, "ends": [5], "specials": [9]}


def test_marks_are_specials():
    marks = Marks.of(MARKS | {"file": 6, "repository": 7, "suffix_first": True}, 10)
    assert (marks.specials, marks.ends, marks.file, marks.suffix_first) == ((1, 2, 3, 4, 5, 6, 7, 9), (5,), 6, True)


@pytest.mark.parametrize(
    "change",
    [
        {"prefix": None}, {"prefix": 10}, {"prefix": -1}, {"prefix": True}, {"prefix": "1"}, {"prefix": 1.0},
        {"end": 1}, {"suffix": 3}, {"ends": 5}, {"ends": [10]}, {"ends": ["a"]}, {"ends": [1]},
        {"specials": list(range(10)) * 2_000}, {"file": 10}, {"file": 3},
        {"repository": "x"}, {"suffix_first": 1}, {"suffix_first": None},
    ],
)  # fmt: skip
def test_bad_marks_are_refused(change: dict):
    with pytest.raises((ValueError, TypeError)):
        Marks.of(MARKS | change, 10)


@pytest.mark.parametrize("value", [None, [], "marks", 3])
def test_what_is_no_marks_is_refused(value: object):
    with pytest.raises((ValueError, TypeError)):
        Marks.of(value, 10)


def test_an_end_mark_is_never_text():
    """Its id may have a text in the vocabulary, which no text encodes to."""
    found = tokenizer_file()
    marks = Marks.of({**vars(marks_of(found)), "ends": [300], "specials": []}, N_TEXT + 10)
    tokenizer = BodyTokenizer(plain_tokenizer(found), marks, N_TEXT + 10)
    assert tokenizer.bytes_of(300) == b"" and 300 not in tokenizer.text_ids


def changed(change: str) -> dict:
    found = json.loads(json.dumps(tokenizer_file()))
    model, cuts = found["model"], found["pre_tokenizer"]["pretokenizers"]
    if change == "no bytes":
        del model["vocab"]["Ã"]
    elif change == "a blank before each text":
        cuts[1]["add_prefix_space"] = True
    elif change == "text is dropped":
        cuts[0]["behavior"] = "Removed"
    elif change == "no cuts":
        found["pre_tokenizer"] = None
    elif change == "no alphabet of bytes":
        cuts.pop()
    elif change == "an id beyond the model's":
        model["vocab"]["ab!"] = 10_000
    elif change == "not made of bytes":
        model["vocab"]["中"] = 369
    elif change == "SentencePiece":
        found["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return found


@pytest.mark.parametrize(
    "change",
    [
        "no bytes", "a blank before each text", "text is dropped", "no cuts", "no alphabet of bytes",
        "an id beyond the model's", "not made of bytes", "SentencePiece",
    ],
)  # fmt: skip
def test_a_tokenizer_that_changes_text_is_refused(tmp_path: Path, change: str):
    found = changed(change)
    (tmp_path / "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"tokenizer at .* is damaged"):
        BodyTokenizer.load(tmp_path / "tokenizer.json", marks_of(tokenizer_file()), N_TEXT + 10)


def test_a_normaliser_is_left_out(tmp_path: Path):
    """Qwen's would compose accents: the text would not be what the file says."""
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer_file() | {"normalizer": {"type": "NFC"}}))
    tokenizer = BodyTokenizer.load(tmp_path / "tokenizer.json", marks_of(tokenizer_file()), N_TEXT + 10)
    assert tokenizer.decode(tokenizer.encode("e\u0301")) == "e\u0301"


@PROPERTY
@given(data=st.binary(max_size=12) | TEXT.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_can_be_spelt(data: bytes):
    tokenizer = tiny_body_tokenizer()
    assert b"".join(map(tokenizer.bytes_of, tokenizer.spelt(data))) == data
    assert tokenizer.spelt(b"return") == tokenizer.encode("return")


def test_a_part_of_a_character_before_a_line_break():
    """A vocabulary may hold such a token; what stands before the line break is these bytes, not a sign for them."""
    found = json.loads(json.dumps(tokenizer_file()))
    found["model"]["vocab"]["".join(byte_characters()[byte] for byte in b"\x80\x94\n")] = N_TEXT + 8
    tokenizer = BodyTokenizer(plain_tokenizer(found), marks_of(found), N_TEXT + 10)
    said = canvas_tokens(tokenizer, multiline=False).before_break[N_TEXT + 8]
    assert b"".join(map(tokenizer.bytes_of, said)) == b"\x80\x94"


def test_marks_of_a_hole_are_all_there_or_none():
    ids = {"<fim-prefix>": 5, "<fim-suffix>": 6}

    def find(*texts: str) -> int | None:
        return next((ids[text] for text in texts if text in ids), None)

    assert HoleMarks.by_text(find) is None
    ids["<fim_middle>"] = 7
    marks = HoleMarks.by_text(find)
    assert marks is not None and marks.around([1, 2], [3]) == [5, 1, 2, 6, 3, 7]
