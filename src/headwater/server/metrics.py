"""What is counted, for Prometheus; all worker processes of one service are counted together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_between_processes() -> Iterator[None]:
    """Make the workers that this process starts count together; entered before the first use of ``Metrics``."""
    with tempfile.TemporaryDirectory(prefix="headwater-metrics-", ignore_cleanup_errors=True) as directory:
        os.environ[_DIRECTORY] = directory
        yield


class Metrics:
    """The counters of this process."""

    def __init__(self) -> None:
        # The library decides by the environment, at its import, how processes count together.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # noqa: PLC0415

        self._registry: CollectorRegistry = CollectorRegistry()
        self.requests = Counter(
            "headwater_requests",
            "Requests answered",
            ["listener", "method", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "headwater_request_seconds",
            "Time from a request's head to its answer's last byte being handed over",
            ["listener", "method"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "headwater_requests_in_flight",
            "Requests being answered",
            ["listener"],
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.received = Counter(
            "headwater_received_bytes", "Bytes of bodies received", ["listener"], registry=self._registry
        )
        self.sent = Counter("headwater_sent_bytes", "Bytes of bodies sent", ["listener"], registry=self._registry)

    def exposition(self) -> tuple[bytes, str]:
        """Return all counts of all processes as Prometheus reads them, and their media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = self._registry
        if _DIRECTORY in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_process(pid: int) -> None:
    """Stop counting the requests in flight of a process that has ended."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    mark_process_dead(pid)
