"""What stores do, and what lies in them that nobody reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from headwater.stores.layers.layer import Direction, Operation

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Stores:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see Metrics

        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        gauge = partial(Gauge, registry=registry)
        latest = partial(Gauge, multiprocess_mode="livemostrecent", registry=registry)
        self._store_up = gauge(
            "headwater_store_up",
            "1 when every worker reaches the store and finds its mark there, else 0",
            ["store"],
            multiprocess_mode="livemin",
        )
        self._store_seconds = histogram(
            "headwater_store_seconds",
            "Time that one operation of a store took; a reading and a writing are one for each piece",
            ["store", "operation"],
            buckets=(0.001, 0.01, 0.1, 1, 10, 60),
        )
        self._store_failures = counter(
            "headwater_store_failures",
            "Operations that a store failed at",
            ["store", "operation"],
        )
        self._store_bytes = counter(
            "headwater_store_bytes",
            "Bytes read from a store or written into it, without those of files that the server sends itself",
            ["store", "direction"],
        )
        self._missing_data = counter(
            "headwater_missing_data",
            "Times that a reader did not find the data of an image in a store that should have it",
            ["store"],
        )
        self._wrong_data = counter(
            "headwater_wrong_data",
            "Times that a reader found data in a store that was not the image's",
            ["store"],
        )
        self._removals_failed = counter(
            "headwater_removals_failed",
            "Times that an object could not be removed by a sweep",
            ["store"],
        )
        self._discarded = latest(
            "headwater_discarded_objects",
            "Objects that nobody needs and that are not removed yet",
            ["store"],
        )
        self._pending_deletes = latest("headwater_pending_deletes", "Deleted images that can be restored")
        self._pending_delete_bytes = latest(
            "headwater_pending_delete_bytes",
            "Bytes of all copies of deleted images that can be restored",
        )
        self._pending_delete_oldest = latest(
            "headwater_pending_delete_oldest_seconds",
            "Time since the first deletion of an image that can be restored; 0: there is none",
        )

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None:
        """Note that a store was busy with one operation."""
        self._store_seconds.labels(store, operation).observe(seconds)
        if failed:
            self._store_failures.labels(store, operation).inc()

    def passed(self, store: str, direction: Direction, count: int) -> None:
        """Note that so many bytes were read from a store or written into it."""
        self._store_bytes.labels(store, direction).inc(count)

    def is_up(self, store: str, *, up: bool) -> None:
        """Note whether a store works."""
        self._store_up.labels(store).set(up)

    def missing(self, store: str) -> None:
        """Note that data of an image was not where it should be."""
        self._missing_data.labels(store).inc()

    def wrong(self, store: str) -> None:
        """Note that data of an image was found to be another's, or less than all."""
        self._wrong_data.labels(store).inc()

    def failed(self, store: str) -> None:
        """Note that an object could not be removed."""
        self._removals_failed.labels(store).inc()

    def left(self, by_store: Mapping[str, int]) -> None:
        """Note how many objects wait for their removal in each store."""
        for store, count in by_store.items():
            self._discarded.labels(store).set(count)

    def pending(self, images: int, size: int, oldest_s: float) -> None:
        """Note how many deleted images can be restored, how many bytes they hold, and how long the oldest is there."""
        self._pending_deletes.set(images)
        self._pending_delete_bytes.set(size)
        self._pending_delete_oldest.set(oldest_s)
