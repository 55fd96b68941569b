"""Downloads, whole and in part, from memory and from the disk, beside a plain ``sendfile`` loop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Address, Connection
from tools.benches.measuring.limits import seconds_together
from tools.benches.measuring.sendfile_peer import peer
from tools.benches.measuring.server import Server, serving
from tools.benches.measuring.source import source
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Figure, Results

BENCH = "download"


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of downloads.

    Raises:
        BenchFailed: What came is not as long as it should be.
    """
    room = plan.room(BENCH)
    size = plan.download_size
    half = range(size // 4, size // 4 + size // 2)
    with serving(room / "data", plan.workers) as server:
        image_id = uploaded(server, size)
        file = largest_file(server.data_dir)
        with peer(file) as plain:
            measured = _Downloads(plan, results, server, plain, image_requests.data(image_id))
            hot = measured.series("whole, from memory", size, before=lambda: read(file))
            measured.series("whole, from memory, four at a time", size, streams=4, before=lambda: read(file))
            measured.series("half of it by range, from memory", len(half), span=half, before=lambda: read(file))
            measured.series("whole, from the disk", size, before=lambda: forget(file))
    results.aim(BENCH, "a download from memory, of sendfile", hot.ratio, "at least", 0.8, "of the peer")


def uploaded(server: Server, size: int) -> str:
    """Upload one image; return its id."""
    image_id = image_requests.create(server.images)
    with source() as bytes_, contextlib.closing(Connection(server.images)) as connection:
        connection.upload(image_requests.data(image_id), bytes_.descriptor, len(bytes_.memory), size)
    return image_id


def largest_file(directory: Path) -> Path:
    """Return where the store keeps the only image."""
    return max(
        (path for path in (directory / "stores").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


class _Downloads:
    """Downloads of one image from Headwater and from the peer, in turn."""

    def __init__(self, plan: Plan, results: Results, server: Server, plain: Address, path: str) -> None:
        self._plan, self._results, self._server, self._plain, self._path = plan, results, server, plain, path

    def series(
        self, name: str, size: int, *, before: Callable[[], None], span: range | None = None, streams: int = 1
    ) -> Figure:
        """Measure one way to download ``size`` bytes.

        Args:
            before: Brings the file into the page cache, or out of it, before each download.
        """
        rates: list[float] = []
        plain_rates: list[float] = []
        cpu: list[float] = []
        moved = size * streams
        for _ in range(self._plan.rounds):
            before()
            plain_rates.append(moved / MIB / self._seconds(self._plain, size, span, streams))
            before()
            used = processes.cpu_s(self._server.pids)
            rates.append(moved / MIB / self._seconds(self._server.images, size, span, streams))
            cpu.append((processes.cpu_s(self._server.pids) - used) / (moved / GIB))
        plain = self._results.add(BENCH, f"sendfile alone, {name}", "MiB/s", plain_rates)
        figure = self._results.add(BENCH, f"download, {name}", "MiB/s", rates, beside=plain)
        self._results.add(BENCH, f"processor time of the server, {name}", "s/GiB", cpu)
        return figure

    def _seconds(self, address: Address, size: int, span: range | None, streams: int) -> float:
        def work() -> None:
            with contextlib.closing(Connection(address)) as connection:
                received = connection.download(self._path, span)
            if received != size:
                raise BenchFailed(f"{received} bytes came of {size}")

        return seconds_together([work] * streams)


def read(file: Path) -> None:
    """Bring a file into memory."""
    with file.open("rb", buffering=0) as reader:
        while reader.read(8 << 20):
            pass


def forget(file: Path) -> None:
    """Let the system forget what it has in memory of a file."""
    with file.open("rb", buffering=0) as reader:
        os.posix_fadvise(reader.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
