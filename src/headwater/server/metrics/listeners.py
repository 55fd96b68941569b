"""What the listeners answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Listeners:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see Metrics

        self.requests = Counter(
            "headwater_requests",
            "Requests answered",
            ["listener", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "headwater_request_seconds",
            "Time from a request's head to its answer's last byte being handed over",
            ["listener", "method"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
            registry=registry,
        )
        self.in_flight = Gauge(
            "headwater_requests_in_flight",
            "Requests being answered",
            ["listener"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.received = Counter("headwater_received_bytes", "Bytes of bodies received", ["listener"], registry=registry)
        self.sent = Counter(
            "headwater_sent_bytes", "Bytes of bodies that the network has taken", ["listener"], registry=registry
        )
        self._certificate_days = Gauge(
            "headwater_certificate_days_left",
            "Days until the certificate of a listener ends",
            ["listener"],
            multiprocess_mode="livemin",
            registry=registry,
        )

    def days_left(self, listener: str, days: float) -> None:
        """Note how long the certificate of a listener is good."""
        self._certificate_days.labels(listener).set(days)
