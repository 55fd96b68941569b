"""What is kept here of the data of others: images in the cache, feeds and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Kept:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge  # noqa: PLC0415 - see Metrics

        self._cache_asked = Counter(
            "headwater_cache_requests",
            "Downloads that looked into the cache: found there, shared a fetch that was on its way, or not",
            ["result"],
            registry=registry,
        )
        self._cache_fetched = Counter(
            "headwater_cache_fetched_bytes", "Bytes written into the cache", registry=registry
        )
        self._cache_size = Gauge(
            "headwater_cache_size_bytes",
            "Bytes of images in the cache",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self._pulled = Counter(
            "headwater_pulled",
            "What became of feeds of others that are served: files that were here (hit), on their way (shared) or "
            "fetched (miss); documents that were given although they are old (stale); and what their servers did not "
            "give (failed) or gave wrong (refused)",
            ["tree", "what"],
            registry=registry,
        )
        self._pulled_bytes = Counter(
            "headwater_pulled_bytes", "Bytes of files of others that were fetched", ["tree"], registry=registry
        )
        self._pulled_size = Gauge(
            "headwater_pulled_size_bytes",
            "Bytes of files of others that are kept",
            ["tree"],
            multiprocess_mode="livemostrecent",
            registry=registry,
        )

    def cache_asked(self, result: str) -> None:
        """Note that data was wanted: a ``hit``, a ``shared`` fetch, or a ``miss``."""
        self._cache_asked.labels(result).inc()

    def cache_fetched(self, count: int) -> None:
        """Note that so many bytes were written into the cache."""
        self._cache_fetched.inc(count)

    def cache_holds(self, size: int) -> None:
        """Note how many bytes of images are in the cache."""
        self._cache_size.set(size)

    def pulled(self, tree: str, what: str) -> None:
        """Note what became of a file or document of others: see the metric."""
        self._pulled.labels(tree, what).inc()

    def pulled_bytes(self, tree: str, count: int) -> None:
        """Note that so many bytes of files of others were fetched."""
        self._pulled_bytes.labels(tree).inc(count)

    def pulled_size(self, tree: str, size: int) -> None:
        """Note how many bytes of files of others are kept."""
        self._pulled_size.labels(tree).set(size)
