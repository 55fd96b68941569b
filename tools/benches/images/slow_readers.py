"""Many clients that have begun a download and hardly read: what everybody else notices of them."""

from __future__ import annotations

import contextlib
import resource
import statistics
import threading
import time
from collections.abc import Iterator

from tools.benches.images import image_requests
from tools.benches.images.downloads import uploaded
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Address, Connection
from tools.benches.measuring.server import serving
from tools.benches.plan import MIB, Plan
from tools.benches.results import Results, p99

BENCH = "slow"
_IMAGE = 64 * MIB  # more than the kernel holds for one connection
_RECEIVE_BUFFER = 16 << 10
_A_LITTLE = 4 << 10  # read each second by each reader
_SHOWS = 1000
_CONNECTIONS = 8  # of those who ask to show an image: more than there are workers


def measure(plan: Plan, results: Results) -> None:
    """Fill in how long a ``show`` takes without and with slow readers."""
    room = plan.room(BENCH)
    with serving(room / "data", plan.workers) as server:
        # The server keeps the limit of open files that it was started with.
        _allow_open_files(plan.readers + 200)
        image_id = uploaded(server, _IMAGE)
        path = image_requests.path(image_id)
        shows = max(_CONNECTIONS, min(_SHOWS, plan.pages * 5))
        _show_times(server.images, path, shows)
        idle = processes.resident(server.pids)
        alone = _show_times(server.images, path, shows)
        results.add(BENCH, "show alone: p50", "ms", [statistics.median(alone)])
        results.add(BENCH, "show alone: p99", "ms", [p99(alone)])
        all_but_one_byte = range(1, _IMAGE)
        for kind, span in (("whole images", None), ("ranges", all_but_one_byte)):
            with _reading_slowly(server.images, image_requests.data(image_id), span, plan.readers):
                times = _show_times(server.images, path, shows)
                grown = max(0, processes.resident(server.pids) - idle) / MIB
            beside = f"{plan.readers} slow readers of {kind}"
            results.add(BENCH, f"show beside {beside}: p50", "ms", [statistics.median(times)])
            results.add(BENCH, f"show beside {beside}: p99", "ms", [p99(times)])
            results.add(BENCH, f"memory growth by {beside}", "MiB", [grown])
            results.aim(BENCH, f"p99 of show beside {beside}", p99(times), "under", 5, "ms")


@contextlib.contextmanager
def _reading_slowly(address: Address, path: str, span: range | None, count: int) -> Iterator[None]:
    """Hold ``count`` downloads that have begun, and read a little of each every second."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        readers = []
        for _ in range(count):
            reader = Connection(address, receive_buffer=_RECEIVE_BUFFER)
            stack.callback(reader.close)
            reader.begin_download(path, span)
            readers.append(reader)

        def read_a_little() -> None:
            while not stop.wait(0.1):
                started = time.monotonic()
                for reader in readers:
                    if stop.wait(0.9 / count):  # spread over the second
                        return
                    reader.socket.recv(_A_LITTLE)
                stop.wait(max(0.0, 0.9 - (time.monotonic() - started)))

        thread = threading.Thread(target=read_a_little, daemon=True)
        thread.start()
        try:
            time.sleep(1)  # until the server has filled every buffer that it may
            yield
        finally:
            stop.set()
            thread.join()


def _show_times(address: Address, path: str, count: int) -> list[float]:
    """Return how long each of ``count`` requests took, in ms: one after the other, over several connections."""
    times = []
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(Connection(address))) for _ in range(_CONNECTIONS)]
        for number in range(count):
            started = time.perf_counter()
            connections[number % _CONNECTIONS].get(path)
            times.append((time.perf_counter() - started) * 1000)
    return times


def _allow_open_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else min(count, hard), hard)
        )
