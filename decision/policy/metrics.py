"""What a policy engine says of itself in numbers."""

from __future__ import annotations

from collections.abc import Iterator

from decision.model.metrics import Histogram, Sample, counter, gauge
from decision.model.session import PolicyStatus


def engine_samples(evaluated: Histogram, hits: int, misses: int, status: PolicyStatus) -> Iterator[Sample]:
    """`hits` and `misses` are the evaluation cache's."""
    yield counter("policy_evaluations", "Policy evaluations that no cache answered.", evaluated.count)
    yield evaluated.sample("policy_evaluation_duration_seconds", "One evaluation that no cache answered.")
    yield counter("policy_cache_hits", "Evaluations answered by the cache.", hits)
    yield counter("policy_cache_misses", "Evaluations that the cache did not know.", misses)
    yield gauge("policy_info", "Always 1; the active revision.", 1, version=status.revision[:16], kind=status.engine)
    yield gauge("policy_activated_timestamp_seconds", "When the active policy became so.",
                status.activated_unix_nano / 1e9)  # fmt: skip
    yield gauge("policy_rejected", "Whether a newer bundle was refused since.", float(bool(status.rejected)))
