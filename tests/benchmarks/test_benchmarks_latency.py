"""The pure parts of the latency benchmark; the measuring itself runs in tests/lsp_server/test_real_completion.py."""

from typing import Any

import pytest
from quicksilver.benchmarks.speed.latency import (
    DENOISE,
    ENGINE,
    KEY,
    N_CONTEXTS,
    OVERHEAD,
    VERIFY,
    Samples,
    _read_contexts,
    context_of,
    percentile,
)
from quicksilver.benchmarks.speed.typed_files import cut_stretch
from quicksilver.fim.errors import InputError
from quicksilver.fim.text.document import Document

TEXT = "".join(f"line_{number} = {number} * 2\n" for number in range(100))


def document(text=TEXT):
    return Document(uri="file:///a.py", version=1, language="python", text=text)


@pytest.mark.parametrize("n_keys", [1, 17, 200, 900])
def test_a_stretch_is_whole_lines_and_can_be_typed_again(n_keys):
    without, offset, typed = cut_stretch(document(), n_keys)
    assert len(typed) == n_keys
    assert TEXT.startswith(without.text[:offset] + typed)
    assert TEXT.endswith(without.text[offset:])
    assert offset == 0 or without.text[offset - 1] == "\n"
    assert without.text[offset : offset + 1] in ("\n", "")


def test_a_file_that_is_too_short_is_refused():
    with pytest.raises(InputError, match="too few"):
        cut_stretch(document("x = 1\n"), 50)


def test_percentiles_are_measured_values():
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(values, share) for share in (0.01, 0.5, 0.95, 1.0)] == [1.0, 3.0, 5.0, 5.0]
    assert percentile([7.0], 0.5) == 7.0


def test_a_key_is_split_into_engine_and_overhead():
    samples = Samples()
    samples.add_key(
        10.0, {"text": "x", "steps": 4, "timings_ms": {"engine": 7.0, "denoise": 5.0, "verify": 1.5}}, OVERHEAD
    )
    samples.add_key(1.0, {"text": "", "timings_ms": {"total": 0.5}}, OVERHEAD)
    assert (samples.n_keys, samples.n_shown) == (2, 1)
    assert {name: samples.by_name[name] for name in (KEY, ENGINE, OVERHEAD, DENOISE, VERIFY)} == {
        KEY: [10.0],
        ENGINE: [7.0],
        OVERHEAD: [3.0],
        DENOISE: [5.0],
        VERIFY: [1.5],
    }


async def test_contexts_are_as_long_as_their_rows_say():
    """Asked of a client that counts four and a half characters a token, and whose model takes 900 of them."""

    class Client:
        def __init__(self):
            self.text, self.n_context = "", []

        def open(self, uri, text):
            self.text = text

        async def complete(self, uri, position, timeout_s):
            self.n_context.append(min(900, int(len(self.text) / 4.5)))

        async def explain(self):
            return {"steps": 1, "n_context": self.n_context[-1], "timings_ms": {"engine": float(self.n_context[-1])}}

    client: Any = Client()
    samples = Samples()
    document = Document(uri="file:///a.py", version=1, language="python", text="x = 1\n" * 50)
    await _read_contexts(client, document, samples)
    assert set(samples.by_name) == {context_of(256), context_of(512)}
    for wanted in (256, 512):
        values = samples.by_name[context_of(wanted)]
        assert len(values) == N_CONTEXTS
        assert all(abs(n - wanted) < 0.05 * wanted for n in values)
