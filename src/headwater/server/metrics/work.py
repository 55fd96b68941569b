"""What is done while nobody waits: jobs, and sources of images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from headwater.jobs.overview import Count
from headwater.jobs.runner import End
from headwater.streams.syncing.sources.source import Outcome, Source

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Work:
    """Counts them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see Metrics

        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        latest = partial(Gauge, multiprocess_mode="livemostrecent", registry=registry)
        self._jobs = latest(
            "headwater_jobs",
            "Jobs that wait, run, or were given up, house-keeping aside",
            ["kind", "state"],
        )
        self._oldest_job = latest(
            "headwater_oldest_job_seconds",
            "Time since the oldest job that is neither done nor given up was entered; 0 where there is none",
            ["kind"],
        )
        self._job_seconds = histogram(
            "headwater_job_seconds",
            "Time that one attempt of a job took, and how it ended",
            ["kind", "end"],
            buckets=(0.01, 0.1, 1, 10, 60, 600, 3600, 21600),
        )
        self._source_success = latest(
            "headwater_stream_source_last_success_seconds",
            "When a source last ran to its end with nothing failed, in seconds since 1970; 0: never",
            ["source"],
        )
        self._source_up = latest(
            "headwater_stream_source_up",
            "0 when the last run of a source failed, else 1",
            ["source"],
        )
        self._source_next = latest(
            "headwater_stream_source_next_run_seconds",
            "When a source runs next by itself, in seconds since 1970; 0: never",
            ["source"],
        )
        self._source_names: frozenset[str] = frozenset()
        self._synced = counter(
            "headwater_stream_source_images",
            "Images of a source by what its runs did: created, updated, hidden, deleted, failed, same and the like",
            ["source", "did"],
        )

    def ran(self, kind: str, end: End, seconds: float) -> None:
        """Note that an attempt of a job took so long."""
        self._job_seconds.labels(kind, end).observe(seconds)

    def jobs(self, counts: Mapping[str, Count], now: int) -> None:
        """Note how many jobs there are of each kind."""
        for kind, count in counts.items():
            for state, number in count.by_state.items():
                self._jobs.labels(kind, state.value).set(number)
            age_s = 0.0 if count.oldest_at is None else max(0, now - count.oldest_at) / 1_000_000
            self._oldest_job.labels(kind).set(age_s)

    def sources(self, sources: Mapping[str, Source]) -> None:
        """Note how the sources of images stand; those that are gone count for nothing."""
        for name in self._source_names - sources.keys():
            self._source_success.labels(name).set(0)
            self._source_next.labels(name).set(0)
            self._source_up.labels(name).set(1)
        for name, source in sources.items():
            self._source_success.labels(name).set((source.succeeded_at or 0) / 1_000_000)
            self._source_next.labels(name).set((source.next_run_at or 0) / 1_000_000)
            self._source_up.labels(name).set(source.outcome is not Outcome.FAILED)
        self._source_names = frozenset(sources)

    def synced(self, source: str, counts: Mapping[str, int]) -> None:
        """Note what became of the images of one run."""
        for did, number in counts.items():
            self._synced.labels(source, did).inc(number)
