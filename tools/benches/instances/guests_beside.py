"""What a guest waits for its metadata while others upload, list and read feeds: each has threads of its own."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.instances.metadata_port import UNLIMITED, registered
from tools.benches.measuring import static_peer
from tools.benches.measuring.connection import Address, Connection
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
_BESIDE = "beside uploads, lists and feeds"
_P99_MS = 10.0
_PROCESSES = get_context("fork")  # what they send is in the memory of this one


def measure(plan: Plan, results: Results) -> None:
    """Fill in how long an answer takes a guest, alone and beside all of that, also from a worker of its own.

    Raises:
        BenchFailed: A request was not answered.
    """
    room = plan.room(BENCH)
    with source() as bytes_:
        for who, apart in (("a guest", 0), ("a guest of guest_workers = 1", 1)):
            settings = {**UNLIMITED, "HEADWATER_SERVER__GUEST_WORKERS": str(apart)}
            with serving(room / f"data-{apart}", plan.workers, settings=settings) as server:
                beside = _measure(plan, results, server, bytes_, who, room)
    results.aim(BENCH, f"p99 of {who} {_BESIDE}", p99(beside), "under", _P99_MS, "ms")


def _measure(plan: Plan, results: Results, server: Server, bytes_: Source, who: str, room: Path) -> list[float]:
    """Return how long requests took beside all of that."""
    count = min(_REQUESTS, 10 * plan.pages)
    registered(server, room)
    for _ in range(min(_LISTED, plan.pages)):
        image_requests.create(server.images)
    _waits(server.metadata, count)
    alone = _waits(server.metadata, count)
    with static_peer.peer(_one_file(room), 1) as peer, _busy(server, bytes_, plan.upload_size // 8):
        beside, of_peer = _waits(server.metadata, count), _waits(peer, count)
    for name, times in ((who, alone), (f"{who} {_BESIDE}", beside), (f"a static file {_BESIDE} of {who}", of_peer)):
        results.add(BENCH, f"{name}: p50", "ms", [statistics.median(times)])
        results.add(BENCH, f"{name}: p99", "ms", [p99(times)])
    return beside


def _one_file(room: Path) -> Path:
    """Return the directory of the file that the peer gives for ``_PATH``."""
    directory = room / "static"
    directory.mkdir(exist_ok=True)
    (directory / _PATH.rsplit("/", 1)[1]).write_bytes(b"{}")
    return directory


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


def _waits(address: Address, count: int) -> list[float]:
    """Return how long each of ``count`` requests took, in ms, one after the other on connections of their own."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        with contextlib.closing(Connection(address)) as connection:
            connection.get(_PATH)
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(_PAUSE_S)
    return times
