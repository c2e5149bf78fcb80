"""What a CPU computes with NumPy beside OpenVINO, against the same parts in PyTorch."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model import numerics
from quicksilver.model.checkpoint.checkpoint import weights_of
from quicksilver.model.network import matches as torch_matches
from quicksilver.model.network.transformer import rotations as torch_rotations
from quicksilver.model.openvino import matches as numpy_matches
from quicksilver.model.openvino.copy_head import NumpyCopyHead
from quicksilver.model.openvino.rotary import rotations

from .tiny import tiny_denoiser

SKIPPED, MASK = 7, 8


@st.composite
def contexts(draw: st.DrawFn) -> list[int]:
    """Two tokens or more; the skipped one is there once at most, and never first, as in every context."""
    text = draw(st.lists(st.integers(0, 2), min_size=2, max_size=40))
    at = draw(st.integers(1, len(text)))
    return [*text[:at], *([SKIPPED] if draw(st.booleans()) else []), *text[at:]]


texts = contexts()


@settings(deadline=None, max_examples=60)
@given(texts)
def test_matches_of_a_context(text):
    for skipped in (None, SKIPPED):
        expected = torch_matches.context_matches(torch.tensor([text]), 1, skipped)[0, 0]
        assert numpy_matches.last_matches(np.array(text), skipped).tolist() == expected.tolist()


@settings(deadline=None, max_examples=60)
@given(texts, st.lists(st.lists(st.sampled_from([0, 1, 2, MASK]), min_size=6, max_size=6), min_size=1, max_size=3))
def test_matches_in_canvases(text, canvases):
    tokens, rows = np.array(text), np.array(canvases)
    before = numpy_matches.last_matches(tokens)
    got, gaps = numpy_matches.canvas_matches(rows, rows == MASK, tokens, before)
    expected, expected_gaps = torch_matches.canvas_matches(
        torch.tensor(rows)[None],
        torch.tensor(rows == MASK)[None],
        torch.tensor(tokens)[None],
        torch.tensor(before).expand(1, len(rows), -1),
    )
    assert np.array_equal(got, expected[0].numpy())
    assert np.array_equal(gaps, expected_gaps[0].numpy())
    assert np.array_equal(numpy_matches.classes(got), torch_matches.classes(expected)[0].numpy())


@settings(deadline=None, max_examples=60)
@given(texts, st.data())
def test_matches_in_trees(text, data):
    size = data.draw(st.integers(1, 8))
    tokens = np.array(data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=size, max_size=size)))
    before = np.array([data.draw(st.integers(0, place)) for place in range(size)])
    context = np.array(text)
    for skipped in (None, SKIPPED):
        got = numpy_matches.tree_matches(context, tokens, before, skipped)
        expected = torch_matches.tree_matches(
            torch.tensor(context), torch.tensor(tokens), torch.tensor(before), skipped
        )
        assert np.array_equal(got, expected.numpy())


def test_rotary_embeddings_and_copy_keys():
    model = tiny_denoiser()
    for got, expected in zip(
        rotations(np.arange(200), model.config), torch_rotations(torch.arange(200), model.config), strict=True
    ):
        assert np.allclose(got, expected.numpy(), atol=2e-5)
    hidden = np.random.default_rng(3).normal(size=(5, model.config.width)).astype(np.float32)
    keys = NumpyCopyHead(model.config, weights_of(model)).keys(hidden)
    with torch.no_grad():
        assert np.allclose(keys, model.copy_head.keys(torch.tensor(hidden)[None])[0].numpy(), atol=1e-5)


@pytest.mark.filterwarnings("error")
def test_functions_of_log_probabilities():
    values = np.array([[0.5, -2.0, 3.0], [-np.inf, 1.0, 1.0], [1e4, 0.0, -1e4], [-200.0, -200.0, 90.0]])
    tensor = torch.tensor(values)
    assert np.allclose(numerics.logsumexp(values), torch.logsumexp(tensor, -1).numpy())
    assert np.allclose(numerics.log_softmax(values), tensor.log_softmax(-1).numpy())
    assert np.allclose(numerics.softmax(values), tensor.softmax(-1).numpy())
    finite = values[[0, 2, 3]]
    assert np.allclose(numerics.log_sigmoid(finite), torch.nn.functional.logsigmoid(torch.tensor(finite)).numpy())
    expected = torch.distributions.Categorical(logits=tensor).entropy()
    assert np.allclose(numerics.entropy(numerics.log_softmax(values)), expected.numpy())
    assert numerics.logsumexp(np.full((2, 2), -np.inf)).tolist() == [-np.inf, -np.inf]
    assert numerics.logsumexp(np.empty((2, 0))).tolist() == [-np.inf, -np.inf]


ANSWER = """
import sys
if sys.argv[1] == "without":
    sys.modules["torch"] = None  # as if it were not installed
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.load_infiller import load_infiller
infiller = load_infiller(n_threads=1, device="cpu")
prefix = "def add(a, b):\\n    return a "
hole = Hole(prefix=prefix, suffix="\\n", language="python", replaced=(len(prefix),) * 2, multiline=False)
print(repr(infiller.complete(CompletionRequest(hole=hole, path="a.py"), lambda: False).text))
print([name for name in sys.modules if name.split(".")[0] in ("torch", "triton")])
"""


@pytest.mark.slow
def test_an_answer_on_the_cpu_needs_no_torch():
    texts = []
    for how, loaded in (("with", "[]"), ("without", "['torch']")):
        done = subprocess.run([sys.executable, "-P", "-c", ANSWER, how], capture_output=True, text=True, check=True)
        text, modules = done.stdout.splitlines()
        texts.append(text)
        assert modules == loaded
    assert texts[0] == texts[1] != "''"


@pytest.mark.slow
def test_what_needs_torch_says_so_where_it_is_missing(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None; from quicksilver.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    for command in (
        ["serve", "--model", "base", "--runtime", "torch"],
        ["serve", "--model", "base", "--device", "cuda"],
        ["train", "run", "--config", str(tmp_path / "missing")],
    ):
        done = subprocess.run([sys.executable, "-P", "-c", code, *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2, (command, done.stderr)
        assert "pip install 'quicksilver-lsp[" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
