"""What one engine counts, without an engine."""

from typing import get_args

import pytest
from quicksilver.fim.types import Completion, CompletionSource
from quicksilver.serving.engine.metrics import Metrics


@pytest.mark.parametrize("source", get_args(CompletionSource))
def test_answers_are_counted_by_their_source(source):
    metrics = Metrics()
    done = {"text": "x", "range": (0, 0), "confidence": 0.5, "steps": 1, "n_tokens": 1, "model": "m"}
    for _ in range(2):
        metrics.note_completion(Completion(**done, finish_reason="stop", source=source))
    metrics.note_completion(Completion(**done, finish_reason="budget"))
    text = metrics.text().decode()
    assert f'quicksilver_completions_total{{reason="stop",source="{source}"}} 2.0' in text
    assert 'quicksilver_completions_total{reason="budget",source="denoiser"} 1.0' in text
