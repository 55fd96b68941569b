"""Uploads, one and four at a time, beside the hashes alone and the disk alone."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field

from tools.benches import images, processes
from tools.benches.connection import Connection
from tools.benches.failure import BenchFailed
from tools.benches.limits import hash_alone, seconds_together, write_alone
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Figure, Results
from tools.benches.server import Server, serving
from tools.benches.source import Source, source

BENCH = "upload"
ROOM_LEFT = 1 * GIB  # on the disk, beside what is uploaded


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of uploads.

    Raises:
        BenchFailed: The disk has no room, or what arrived is not what was sent.
    """
    room = plan.room(BENCH)
    need = max(plan.upload_size, 4 * plan.upload_size_of_four) + ROOM_LEFT
    free = shutil.disk_usage(room).free
    if free < need:
        raise BenchFailed(
            f"{need / GIB:.0f} GiB are needed on the disk of {plan.rooms}, and {free / GIB:.0f} are free: "
            "give another --data-dir, or a smaller --upload-size and --upload-size-of-four"
        )
    with source() as bytes_, serving(room / "data", plan.workers) as server:
        idle = processes.resident(server.pids)
        one = _series(plan, results, "one at a time", _Uploading(server, bytes_, plan.upload_size, 1, idle))
        chunked = _Uploading(server, bytes_, plan.upload_size, 1, idle, chunked=True)
        _series(plan, results, "one at a time, chunked", chunked)
        four = _Uploading(server, bytes_, plan.upload_size_of_four, 4, idle)
        _series(plan, results, "four at a time", four)
    results.aim(BENCH, "one upload, of the parallel hashes", one.ratio, "at least", 0.65, "of the limit")
    grown = [figure for figure in results.figures if figure.bench == BENCH and figure.name.startswith("memory growth")]
    for figure in grown:
        results.aim(BENCH, figure.name, max(figure.runs), "under", 64, "MiB")


@dataclass(slots=True)
class _Uploading:
    """Some uploads at the same time, again and again, and what they cost."""

    server: Server
    source: Source
    size: int  # bytes of each
    streams: int
    idle: int  # bytes of memory that the server had before its first upload
    chunked: bool = False
    rates: list[float] = field(default_factory=list)  # MiB/s of all together
    cpu: list[float] = field(default_factory=list)  # seconds for each GiB
    memory: list[float] = field(default_factory=list)  # MiB beyond idle

    def once(self, digests: tuple[str, str]) -> None:
        """Upload, and require that the server's MD5 and SHA-512 are ``digests``."""
        server = self.server
        ids = [images.create(server.images) for _ in range(self.streams)]
        processes.forget_peak(server.pids)
        before = processes.cpu_s(server.pids)
        seconds = seconds_together([lambda image_id=image_id: self._send(image_id) for image_id in ids])  # type: ignore[misc]
        moved = self.size * self.streams
        self.rates.append(moved / MIB / seconds)
        self.cpu.append((processes.cpu_s(server.pids) - before) / (moved / GIB))
        self.memory.append(max(0, processes.peak_resident(server.pids) - self.idle) / MIB)
        for image_id in ids:
            image = images.show(server.images, image_id)
            if (image["status"], image["checksum"], image["os_hash_value"]) != ("active", *digests):
                raise BenchFailed(f"image {image_id} is {image['status']} and not what was sent: {image}")
            images.delete(server.images, image_id)

    def _send(self, image_id: str) -> None:
        with contextlib.closing(Connection(self.server.images)) as connection:
            connection.upload(
                images.data(image_id), self.source.descriptor, len(self.source.memory), self.size, chunked=self.chunked
            )


def _series(plan: Plan, results: Results, name: str, uploading: _Uploading) -> Figure:
    hashes: list[float] = []
    disk: list[float] = []
    moved = uploading.size * uploading.streams / MIB
    for _ in range(plan.rounds):
        seconds, digests = hash_alone(uploading.source, uploading.size, uploading.streams)
        hashes.append(moved / seconds)
        seconds = write_alone(uploading.source, uploading.size, uploading.streams, uploading.server.data_dir)
        disk.append(moved / seconds)
        uploading.once(digests)
    hashed = results.add(BENCH, f"md5 and sha512 alone, {name}", "MiB/s", hashes)
    written = results.add(BENCH, f"the disk alone, {name}", "MiB/s", disk)
    figure = results.add(BENCH, f"upload, {name}", "MiB/s", uploading.rates, beside=hashed)
    results.add(BENCH, f"upload, {name} (beside the disk)", "MiB/s", uploading.rates, beside=written)
    results.add(BENCH, f"processor time of the server, {name}", "s/GiB", uploading.cpu)
    results.add(BENCH, f"memory growth, {name}", "MiB", uploading.memory)
    return figure
