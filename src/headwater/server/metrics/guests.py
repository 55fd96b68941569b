"""What others are asked about instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Guests:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge  # noqa: PLC0415 - see Metrics

        self._vendor_data = Counter(
            "headwater_vendor_data",
            "Answers of the services of vendor data: given (answered), still known (kept), not to be had (failed)",
            ["target", "what"],
            registry=registry,
        )
        self._cloud_answers = Counter(
            "headwater_cloud_answers",
            "Answers for instances that a cloud knows and nobody registered, by how they were had",
            ["how"],
            registry=registry,
        )
        self._cloud_age = Gauge(
            "headwater_cloud_oldest_answer_seconds",
            "Age of the oldest answer of the cloud that an instance was given in the present minute",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._cloud_oldest_s = 0.0

    def vendor_data(self, target: str, what: str) -> None:
        """Note what became of a question about an instance: see the metric."""
        self._vendor_data.labels(target, what).inc()

    def given(self, how: str, age_s: float) -> None:
        """Note that an instance of the cloud was answered, with something so old."""
        self._cloud_answers.labels(how).inc()
        self._cloud_oldest_s = max(self._cloud_oldest_s, age_s)
        self._cloud_age.set(self._cloud_oldest_s)

    def begin_minute(self) -> None:
        """Forget how old answers were until now."""
        self._cloud_oldest_s = 0.0
        self._cloud_age.set(0.0)
