"""GGUF files: every quantisation that is read, and files that are damaged or hostile."""

import struct
from pathlib import Path

import numpy as np
import pytest
from bad_files import KINDS, refusal, replaced
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from quicksilver.model.gguf import file as gguf_file
from quicksilver.model.gguf.file import QUANTISATIONS, GgufFile, GgufTensor, read_gguf
from tiny_gguf import TinyGguf, quantised_bytes

NAMES = sorted(each.name for each in QUANTISATIONS)


def rows_of(file: GgufFile, tensor: GgufTensor, **how) -> np.ndarray:
    return np.concatenate([*file.read(tensor, **how)])


def header(n_tensors=0, n_fields=0, rest=b"", magic=b"GGUF", version=3) -> bytes:
    return magic + struct.pack("<IQQ", version, n_tensors, n_fields) + rest


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name=b"x", shape=(32,), kind=0, offset=0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_what_the_package_makes_of_them(name, tmp_path):
    tiny = TinyGguf(quantisation=name, width=256, ffn_width=256, n_layers=1)
    file = read_gguf(tiny.write(tmp_path / "m.gguf"))
    for key in ("blk.0.ffn_down.weight", "token_embd.weight", "output_norm.weight"):
        floats = tiny.floats()[key]
        quantisation = name if floats.ndim == 2 else "F32"
        raw = quantised_bytes(floats, quantisation)
        expected = np.atleast_2d(dequantize(raw, GGMLQuantizationType[quantisation]))
        found = rows_of(file, file.tensors[key])
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
        if name not in ("Q4_K", "Q5_K", "Q6_K"):
            assert np.abs(found - floats).max() < 0.2


def test_rows_come_in_chunks_in_any_order_and_singly(tmp_path):
    tiny = TinyGguf()
    file = read_gguf(tiny.write(tmp_path / "m.gguf"))
    key, order = "blk.0.ffn_up.weight", np.random.default_rng(0).permutation(96)
    found = file.tensors[key]
    assert [len(rows) for rows in file.read(found, n_a_chunk=40 * 64)] == [40, 40, 16]
    np.testing.assert_array_equal(rows_of(file, found, order=order, n_a_chunk=7 * 64), tiny.floats()[key][order])
    np.testing.assert_array_equal(file.sample(found, np.array([0, 5, 95])), tiny.floats()[key][[0, 5, 95]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(magic=b"GGML"), "does not begin with GGUF"),
        (header(version=1), "version 1"),
        (header(version=3 << 24), "gguf-convert-endian"),
        (header(n_tensors=2**60), "it is damaged, copy it again"),
        (header(n_fields=2**40), "it is damaged, copy it again"),
        (header()[:20], "it ends within its header"),
        (header(n_fields=1, rest=struct.pack("<Q", 2**63)), "it ends within its header"),
        (header(n_fields=1, rest=text(b"k") + struct.pack("<I", 77)), "unknown kind 77"),
        (header(n_fields=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**50)), "an array of"),
        (header(n_fields=1, rest=text(b"k") + struct.pack("<IIQ", 9, 10, 10**6)), "it ends within its header"),
        (header(n_fields=1, rest=text(b"k") + struct.pack("<IIQ", 9, 9, 1)), "unknown kind 9"),
        (header(n_fields=1, rest=text(b"\xff\xfe") + struct.pack("<II", 4, 1)), "invalid"),
        (header(n_fields=2, rest=2 * (text(b"k") + struct.pack("<II", 4, 1))), "twice"),
        (header(n_fields=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 0)), "aligned to 0"),
        (header(n_fields=1, rest=text(b"split.count") + struct.pack("<II", 4, 3)), "join them"),
        (header(n_tensors=1, rest=tensor(kind=999)), "number 999: take a file in one of BF16"),
        (header(n_tensors=1, rest=tensor(kind=19, shape=(256,))), "IQ1_S: take a file"),
        (header(n_tensors=1, rest=tensor(shape=(1, 1, 1))), "only vectors and matrices"),
        (header(n_tensors=1, rest=tensor(shape=(1,) * 9)), "9 dimensions"),
        (header(n_tensors=1, rest=tensor(shape=(0, 4))), "only vectors and matrices"),
        (header(n_tensors=1, rest=tensor(shape=(33,), kind=8)), "not a multiple of a block of 32"),
        (header(n_tensors=1, rest=tensor(shape=(2**40, 2**40))), "it ends before 'x' does"),
        (header(n_tensors=1, rest=tensor(offset=2**63)), "it ends before 'x' does"),
        (header(n_tensors=2, rest=2 * tensor() + bytes(500)), "the tensor 'x' twice"),
        (header(n_tensors=2, rest=tensor() + tensor(b"y") + bytes(160)), "its tensors overlap"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(content, reason, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert reason in refusal(lambda: read_gguf(path))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused(kind, tmp_path):
    replaced(tmp_path / "m.gguf", kind)
    refusal(lambda: read_gguf(tmp_path / "m.gguf"))


def test_a_header_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_file, "MAX_HEADER_BYTES", 1000)
    path = TinyGguf().write(tmp_path / "m.gguf")
    assert "its header has more than 1,000 bytes" in refusal(lambda: read_gguf(path))


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    path, cut = TinyGguf(n_layers=1).write(tmp_path / "m.gguf"), tmp_path / "cut.gguf"
    content = path.read_bytes()
    for n_bytes in [*range(1, len(content) - 32, len(content) // 60), len(content) - 33]:
        cut.write_bytes(content[:n_bytes])
        refusal(lambda: read_gguf(cut))


def test_changed_bytes_never_crash(tmp_path):
    """Whatever a header says, it is read or refused."""
    path, changed = TinyGguf(n_layers=1, width=32, ffn_width=32).write(tmp_path / "m.gguf"), tmp_path / "changed.gguf"
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content)
        for at in random.integers(0, 3000, 3):
            damaged[at] = random.integers(0, 256)
        changed.write_bytes(damaged)
        try:
            found = read_gguf(changed)
        except gguf_file.CheckpointError as error:
            assert str(error).isprintable()
        else:
            assert isinstance(found.path, Path)
