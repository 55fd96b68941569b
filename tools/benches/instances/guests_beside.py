"""What a guest waits for its metadata while others upload, list and read feeds: each has threads of its own."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event

from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.instances.metadata_port import UNLIMITED, registered
from tools.benches.measuring.connection import Connection
from tools.benches.measuring.server import Server, serving
from tools.benches.measuring.source import Source, source
from tools.benches.plan import MIB, Plan
from tools.benches.results import Results, p99

BENCH = "guests-beside"
_PATH = "/openstack/latest/meta_data.json"
_REQUESTS = 2000
_PAUSE_S = 0.002  # between them: a guest that waits for its turn, and no load of its own
_UPLOADS = 2
_LISTED = 200  # images
_FEED = "/simplestreams/images/streams/v1/index.json"
_P99_MS = 10.0
_PROCESSES = get_context("fork")  # what they send is in the memory of this one


def measure(plan: Plan, results: Results) -> None:
    """Fill in how long an answer takes a guest, alone and beside all of that.

    Raises:
        BenchFailed: A request was not answered.
    """
    room = plan.room(BENCH)
    count = min(_REQUESTS, 10 * plan.pages)
    with source() as bytes_, serving(room / "data", plan.workers, settings=UNLIMITED) as server:
        registered(server, room)
        for _ in range(min(_LISTED, plan.pages)):
            image_requests.create(server.images)
        _waits(server, count)
        alone = _waits(server, count)
        with _busy(server, bytes_, plan.upload_size // 8):
            beside = _waits(server, count)
    for name, times in (("alone", alone), ("beside uploads, lists and feeds", beside)):
        results.add(BENCH, f"a guest's request {name}: p50", "ms", [statistics.median(times)])
        results.add(BENCH, f"a guest's request {name}: p99", "ms", [p99(times)])
    results.aim(BENCH, "p99 of a guest beside uploads, lists and feeds", p99(beside), "under", _P99_MS, "ms")


@contextlib.contextmanager
def _busy(server: Server, bytes_: Source, size: int) -> Iterator[None]:
    """Let others upload, list images and read the feed, again and again, each in a process of its own."""
    works = [partial(_upload, server, bytes_, size)] * _UPLOADS
    works += [partial(_get, server, path) for path in (f"/v2/images?limit={_LISTED}", _FEED)]
    stop = _PROCESSES.Event()
    processes = [_PROCESSES.Process(target=_repeat, args=(stop, work), daemon=True) for work in works]
    for process in processes:
        process.start()
    try:
        time.sleep(0.5)
        yield
    finally:
        stop.set()
        for process in processes:
            process.join()
    if any(process.exitcode for process in processes):
        raise BenchFailed("what was to go on beside the guest did not")


def _repeat(stop: Event, work: Callable[[], None]) -> None:
    while not stop.is_set():
        work()


def _upload(server: Server, bytes_: Source, size: int) -> None:
    image_id = image_requests.create(server.images)
    with contextlib.closing(Connection(server.images)) as connection:
        connection.upload(image_requests.data(image_id), bytes_.descriptor, len(bytes_.memory), max(size, MIB))
    image_requests.delete(server.images, image_id)


def _get(server: Server, path: str) -> None:
    with contextlib.closing(Connection(server.images)) as connection:
        connection.get(path)


def _waits(server: Server, count: int) -> list[float]:
    """Return how long each of ``count`` requests took, in ms, one after the other on connections of their own."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        with contextlib.closing(Connection(server.metadata)) as connection:
            connection.get(_PATH)
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(_PAUSE_S)
    return times
