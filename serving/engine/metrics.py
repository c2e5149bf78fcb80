"""The engine's metrics in Prometheus's text format: waiting, batches, steps, cache, latency. Never any source text.

Owns names and buckets. Each engine has its own registry; nothing is global.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ...fim.types import Completion

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.25, 0.5, 1.0, 2.0, 5.0)
JOBS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


class Metrics:
    """What one engine counts. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._waiting = Gauge("quicksilver_waiting_requests", "Requests that wait for a slot", registry=registry)
        self._running = Gauge("quicksilver_running_requests", "Requests in slots", registry=registry)
        self._forward_jobs = Histogram(
            "quicksilver_forward_requests", "Requests that shared a forward", buckets=JOBS, registry=registry
        )
        self._forward_s = Histogram(
            "quicksilver_forward_seconds", "Time of a forward", buckets=SECONDS, registry=registry
        )
        self._completions = Counter(
            "quicksilver_completions", "Answers by the reason they ended and their source", ("reason", "source"),
            registry=registry,
        )  # fmt: skip
        self._failures = Counter(
            "quicksilver_failures", "Requests without an answer, by kind of error", ("kind",), registry=registry
        )
        self._steps = Histogram(
            "quicksilver_completion_steps", "Forwards of a completion", buckets=STEPS, registry=registry
        )
        self._tokens = Counter("quicksilver_completion_tokens", "Tokens of all answers", registry=registry)
        self._context = Counter(
            "quicksilver_context_tokens", "Context tokens, by whether they were cached", ("cached",), registry=registry
        )
        self._parts_s = Histogram(
            "quicksilver_completion_seconds", "Time of a completion's parts: queue, prefill, denoise, verify, engine",
            ("part",), buckets=SECONDS, registry=registry,
        )  # fmt: skip

    def note_jobs(self, n_waiting: int, n_running: int) -> None:
        """How many jobs wait and run now."""
        self._waiting.set(n_waiting)
        self._running.set(n_running)

    def note_forward(self, n_jobs: int, took_s: float) -> None:
        """One forward over n_jobs jobs."""
        self._forward_jobs.observe(n_jobs)
        self._forward_s.observe(took_s)

    def note_completion(self, completion: Completion) -> None:
        """One answer."""
        self._completions.labels(completion.finish_reason, completion.source).inc()
        self._steps.observe(completion.steps)
        self._tokens.inc(completion.n_tokens)
        self._context.labels("yes").inc(completion.n_cached)
        self._context.labels("no").inc(max(0, completion.n_context - completion.n_cached))
        for part, ms in completion.timings_ms.items():
            self._parts_s.labels(part).observe(ms / 1000.0)

    def note_failure(self, error: Exception) -> None:
        """One request that got an error, or was turned down."""
        self._failures.labels(type(error).__name__).inc()

    def text(self) -> bytes:
        """Everything, as GET /metrics gives it."""
        return generate_latest(self._registry)
