"""What is kept between requests: exact, and only as much as it may be."""

import torch
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.published.backbone import Past
from quicksilver.model.published.contexts import MOST_CONTEXTS, KeptContexts
from quicksilver.model.published.folder import load
from quicksilver.model.published.infiller import PublishedInfiller
from quicksilver.model.requests import never
from tiny_checkpoints import write


def past(n: int) -> Past:
    """States that tell their places."""
    states = torch.arange(n).view(1, 1, n, 1).expand(1, 2, n, 3)
    return Past([(states, -states)])


def test_whole_blocks_that_agree_are_found():
    kept = KeptContexts(block=4)
    assert kept.find((1, 2, 3, 4)) is None
    kept.keep(tuple(range(12)), past(12))
    kept.keep((*range(8), 99, 99, 99, 99), past(12))
    found = kept.find((*range(10), 77, 78))
    assert found is not None and found.n_tokens == 8
    assert found.layers[0][0][0, 0, :, 0].tolist() == list(range(8))
    assert kept.find((5, *range(11))) is None
    whole = kept.find((*range(12), 1, 1))
    assert whole is not None and whole.n_tokens == 12


def test_no_more_than_a_few_are_kept():
    kept = KeptContexts(block=2)
    for i in range(MOST_CONTEXTS + 2):
        kept.keep((i, i), past(2))
    assert kept.find((0, 0)) is None and kept.find((MOST_CONTEXTS + 1,) * 2) is not None
    kept.keep((MOST_CONTEXTS + 1,) * 2 + (3, 4), past(4))  # takes the place of what it continues
    assert kept.find((2, 2)) is not None
    assert KeptContexts(block=2, most_bytes=10).find((1, 1)) is None
    small = KeptContexts(block=2, most_bytes=10)
    small.keep((1, 1), past(2))
    assert small.find((1, 1)) is None
    kept.clear()
    assert kept.find((2, 2)) is None


def test_typing_on_gives_what_a_fresh_model_gives(tmp_path):
    write(tmp_path, "sdar")
    published = load(tmp_path, dtype=torch.float32)
    typed, text = PublishedInfiller(published), "def area(width, height):\n    return width * he"
    warm = Hole(prefix=text[:-9], suffix="\n", language="python", replaced=(0, 0), multiline=False)
    assert typed.complete(CompletionRequest(hole=warm, budget_ms=None, warms=True), never).text == ""
    n_cached = []
    for end in range(len(text) - 6, len(text) + 1):
        hole = Hole(prefix=text[:end], suffix="\n", language="python", replaced=(end, end), multiline=False)
        request = CompletionRequest(hole=hole, budget_ms=None, drafts=0, max_tokens=6)
        got, fresh = typed.complete(request, never), PublishedInfiller(published).complete(request, never)
        assert (got.text, got.n_tokens) == (fresh.text, fresh.n_tokens)
        assert fresh.n_cached == 0
        n_cached.append(got.n_cached)
    assert min(n_cached) > 0
