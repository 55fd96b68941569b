"""What is counted, for Prometheus; all worker processes of one service are counted together."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.jobs.overview import Count
from headwater.jobs.runner import End
from headwater.stores.layers.layer import Direction, Operation
from headwater.streams.syncing.sources.source import Outcome, Source

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger(__name__)

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "headwater-metrics-held-"
_TRIES, _TRY_EVERY_S = 50, 0.01


@contextmanager
def shared_between_processes() -> Iterator[None]:
    """Make the workers that this process starts count together; entered before the first use of ``Metrics``."""
    place = Path(tempfile.gettempdir())
    _remove_left(place)
    new = Path(tempfile.mkdtemp(prefix=".headwater-"))
    # Locked by this process and its workers, as long as one of them lives; named when that is so.
    with _locked(new):
        directory = new.rename(place / f"{_PREFIX}{new.name.removeprefix('.headwater-')}")
        os.environ[_DIRECTORY] = str(directory)
        try:
            yield
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_left(place: Path) -> None:
    """Remove what services left that were killed."""
    for directory in place.glob(f"{_PREFIX}*"):
        # Another's, no directory, or one in use.
        with contextlib.suppress(OSError), _locked(directory):
            if directory.stat().st_uid == os.geteuid():
                shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the kernel's lock of a file or directory; raise ``BlockingIOError`` when another process does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


class Metrics:
    """The counters of this process."""

    def __init__(self) -> None:
        # The library decides by the environment, at its import, how processes count together.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # noqa: PLC0415 - see Metrics

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
        self.sent = Counter(
            "headwater_sent_bytes", "Bytes of bodies that the network has taken", ["listener"], registry=self._registry
        )
        self._discarded = Gauge(
            "headwater_discarded_objects",
            "Objects that nobody needs and that are not removed yet",
            ["store"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._pending_deletes = Gauge(
            "headwater_pending_deletes",
            "Deleted images that can be restored",
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._pending_delete_bytes = Gauge(
            "headwater_pending_delete_bytes",
            "Bytes of all copies of deleted images that can be restored",
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._pending_delete_oldest = Gauge(
            "headwater_pending_delete_oldest_seconds",
            "Time since the first deletion of an image that can be restored; 0: there is none",
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._removals_failed = Counter(
            "headwater_removals_failed",
            "Times that an object could not be removed by a sweep",
            ["store"],
            registry=self._registry,
        )
        self._wrong_data = Counter(
            "headwater_wrong_data",
            "Times that a reader found data in a store that was not the image's",
            ["store"],
            registry=self._registry,
        )
        self._store_up = Gauge(
            "headwater_store_up",
            "1 when every worker reaches the store and finds its mark there, else 0",
            ["store"],
            multiprocess_mode="livemin",
            registry=self._registry,
        )
        self._missing_data = Counter(
            "headwater_missing_data",
            "Times that a reader did not find the data of an image in a store that should have it",
            ["store"],
            registry=self._registry,
        )
        self._store_seconds = Histogram(
            "headwater_store_seconds",
            "Time that one operation of a store took; a reading and a writing are one for each piece",
            ["store", "operation"],
            buckets=(0.001, 0.01, 0.1, 1, 10, 60),
            registry=self._registry,
        )
        self._store_failures = Counter(
            "headwater_store_failures",
            "Operations that a store failed at",
            ["store", "operation"],
            registry=self._registry,
        )
        self._store_bytes = Counter(
            "headwater_store_bytes",
            "Bytes read from a store or written into it, without those of files that the server sends itself",
            ["store", "direction"],
            registry=self._registry,
        )
        self._jobs = Gauge(
            "headwater_jobs",
            "Jobs that wait, run, or were given up, house-keeping aside",
            ["kind", "state"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._oldest_job = Gauge(
            "headwater_oldest_job_seconds",
            "Time since the oldest job that is neither done nor given up was entered; 0 where there is none",
            ["kind"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._job_seconds = Histogram(
            "headwater_job_seconds",
            "Time that one attempt of a job took, and how it ended",
            ["kind", "end"],
            buckets=(0.01, 0.1, 1, 10, 60, 600, 3600, 21600),
            registry=self._registry,
        )
        self._source_success = Gauge(
            "headwater_stream_source_last_success_seconds",
            "When a source last ran to its end with nothing failed, in seconds since 1970; 0: never",
            ["source"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._source_up = Gauge(
            "headwater_stream_source_up",
            "0 when the last run of a source failed, else 1",
            ["source"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._source_next = Gauge(
            "headwater_stream_source_next_run_seconds",
            "When a source runs next by itself, in seconds since 1970; 0: never",
            ["source"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._source_names: frozenset[str] = frozenset()
        self._synced = Counter(
            "headwater_stream_source_images",
            "Images of a source by what its runs did: created, updated, hidden, deleted, failed, same and the like",
            ["source", "did"],
            registry=self._registry,
        )
        self._cache_asked = Counter(
            "headwater_cache_requests",
            "Downloads that looked into the cache: found there, shared a fetch that was on its way, or not",
            ["result"],
            registry=self._registry,
        )
        self._cache_fetched = Counter(
            "headwater_cache_fetched_bytes", "Bytes written into the cache", registry=self._registry
        )
        self._cache_size = Gauge(
            "headwater_cache_size_bytes",
            "Bytes of images in the cache",
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._pulled = Counter(
            "headwater_pulled",
            "What became of feeds of others that are served: files that were here (hit), on their way (shared) or "
            "fetched (miss); documents that were given although they are old (stale); and what their servers did not "
            "give (failed) or gave wrong (refused)",
            ["tree", "what"],
            registry=self._registry,
        )
        self._pulled_bytes = Counter(
            "headwater_pulled_bytes", "Bytes of files of others that were fetched", ["tree"], registry=self._registry
        )
        self._pulled_size = Gauge(
            "headwater_pulled_size_bytes",
            "Bytes of files of others that are kept",
            ["tree"],
            multiprocess_mode="livemostrecent",
            registry=self._registry,
        )
        self._vendor_data = Counter(
            "headwater_vendor_data",
            "Answers of the services of vendor data: given (answered), still known (kept), not to be had (failed)",
            ["target", "what"],
            registry=self._registry,
        )
        self._cloud_answers = Counter(
            "headwater_cloud_answers",
            "Answers for instances that a cloud knows and nobody registered, by how they were had",
            ["how"],
            registry=self._registry,
        )
        self._cloud_age = Gauge(
            "headwater_cloud_oldest_answer_seconds",
            "Age of the oldest answer of the cloud that an instance was given in the present minute",
            multiprocess_mode="livemax",
            registry=self._registry,
        )
        self._cloud_oldest_s = 0.0
        self._certificate_days = Gauge(
            "headwater_certificate_days_left",
            "Days until the certificate of a listener ends",
            ["listener"],
            multiprocess_mode="livemin",
            registry=self._registry,
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

    def vendor_data(self, target: str, what: str) -> None:
        """Note what became of a question about an instance: see the metric."""
        self._vendor_data.labels(target, what).inc()

    def days_left(self, listener: str, days: float) -> None:
        """Note how long the certificate of a listener is good."""
        self._certificate_days.labels(listener).set(days)

    def left(self, by_store: Mapping[str, int]) -> None:
        """Note how many objects wait for their removal in each store."""
        for store, count in by_store.items():
            self._discarded.labels(store).set(count)

    def pending(self, images: int, size: int, oldest_s: float) -> None:
        """Note how many deleted images can be restored, how many bytes they hold, and how long the oldest is there."""
        self._pending_deletes.set(images)
        self._pending_delete_bytes.set(size)
        self._pending_delete_oldest.set(oldest_s)

    def failed(self, store: str) -> None:
        """Note that an object could not be removed."""
        self._removals_failed.labels(store).inc()

    def wrong(self, store: str) -> None:
        """Note that data of an image was found to be another's, or less than all."""
        self._wrong_data.labels(store).inc()

    def missing(self, store: str) -> None:
        """Note that data of an image was not where it should be."""
        self._missing_data.labels(store).inc()

    def given(self, how: str, age_s: float) -> None:
        """Note that an instance of the cloud was answered, with something so old."""
        self._cloud_answers.labels(how).inc()
        self._cloud_oldest_s = max(self._cloud_oldest_s, age_s)
        self._cloud_age.set(self._cloud_oldest_s)

    def begin_minute(self) -> None:
        """Forget how old answers were until now."""
        self._cloud_oldest_s = 0.0
        self._cloud_age.set(0.0)

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

    def exposition(self) -> tuple[bytes, str]:
        """Return all counts of all processes as Prometheus reads them, and their media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415 - see Metrics
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - see Metrics

        if _DIRECTORY not in os.environ:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        with _nothing_moves(fcntl.LOCK_SH):
            return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_process(pid: int) -> None:
    """Stop counting the requests in flight of a process that has ended; add its counts to those of others before it.

    So what ended processes leave stays small however many there are.
    """
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see Metrics

    try:
        mark_process_dead(pid)
        directory = Path(os.environ[_DIRECTORY])
        with _nothing_moves(fcntl.LOCK_EX) as alone:
            for kind in ("counter", "histogram"):
                left = directory / f"{kind}_{pid}.db"
                if alone and left.exists():
                    _add(left, directory / f"{kind}_ended.db")
    except Exception as error:  # noqa: BLE001 - a full disk, a file that was cut: the counts stay where they are
        _log.warning("counts of an ended worker stay apart", extra={"pid": pid, "error": str(error)})


def _add(left: Path, ended: Path) -> None:
    """Add the counts in one file to those in another, and remove the first."""
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - see Metrics

    if not ended.exists():
        left.rename(ended)
        return
    with ended.open("r+b") as file:
        # A write into a mapping that finds the disk full would end this process; this only raises.
        os.posix_fallocate(file.fileno(), 0, max(ended.stat().st_size, _used(ended) + _used(left)))
    total = MmapedDict(str(ended))
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(left)):
            total.write_value(key, total.read_value(key)[0] + value, 0.0)
    finally:
        total.close()
    left.unlink()


def _used(counts: Path) -> int:
    """Return how many bytes of a file of counts are in use, which its first four say."""
    with counts.open("rb") as file:
        return int.from_bytes(file.read(4), sys.byteorder)


@contextmanager
def _nothing_moves(kind: int) -> Iterator[bool]:
    """Keep counts from being moved while they are read; yield ``False`` where somebody stands still who does."""
    path = Path(os.environ[_DIRECTORY]) / "lock"
    path.touch(mode=0o600)
    with contextlib.ExitStack() as held:
        for _ in range(_TRIES):
            try:
                held.enter_context(_locked(path, kind))
            except BlockingIOError:
                time.sleep(_TRY_EVERY_S)
            else:
                break
        else:
            yield False
            return
        yield True
