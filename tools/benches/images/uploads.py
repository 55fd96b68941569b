"""Uploads, one and four at a time, beside the hashes alone, the disk alone, and a peer that does nothing else."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field

from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Address, Connection
from tools.benches.measuring.limits import hash_alone, seconds_together, write_alone
from tools.benches.measuring.server import Server, serving
from tools.benches.measuring.source import Source, source
from tools.benches.measuring.upload_peer import peer
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Figure, Results

BENCH = "upload"
ROOM_LEFT = 1 * GIB  # on the disk, beside what is uploaded
_LEAST = {"one at a time, with a length": 0.7, "one at a time, chunked": 0.6}


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
    with source() as bytes_, peer(room) as plain, serving(room / "data", plan.workers) as server:
        idle = processes.resident(server.pids)
        ratios = {}
        for count, size in ((1, plan.upload_size), (4, plan.upload_size_of_four)):
            for way in ("with a length", "chunked"):
                name = f"{'one' if count == 1 else 'four'} at a time, {way}"
                uploading = _Uploading(server, bytes_, size, count, idle, chunked=way == "chunked")
                ratios[name] = _series(plan, results, name, uploading, plain).ratio
    for name, least in _LEAST.items():
        results.aim(BENCH, f"upload, {name}, of the parallel hashes", ratios[name], "at least", least, "of the limit")
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
        ids = [image_requests.create(server.images) for _ in range(self.streams)]
        processes.forget_peak(server.pids)
        before = processes.cpu_s(server.pids)
        paths = map(image_requests.data, ids)
        seconds = seconds_together([lambda path=path: self.send(server.images, path) for path in paths])  # type: ignore[misc]
        moved = self.size * self.streams
        self.rates.append(moved / MIB / seconds)
        self.cpu.append((processes.cpu_s(server.pids) - before) / (moved / GIB))
        self.memory.append(max(0, processes.peak_resident(server.pids) - self.idle) / MIB)
        for image_id in ids:
            image = image_requests.show(server.images, image_id)
            if (image["status"], image["checksum"], image["os_hash_value"]) != ("active", *digests):
                raise BenchFailed(f"image {image_id} is {image['status']} and not what was sent: {image}")
            image_requests.delete(server.images, image_id)

    def plain(self, address: Address, digests: tuple[str, str]) -> float:
        """Send the same to the peer; return the MiB/s."""
        path = f"/{digests[0]}/{digests[1]}"
        return self.size * self.streams / MIB / seconds_together([lambda: self.send(address, path)] * self.streams)

    def send(self, address: Address, path: str) -> None:
        """Upload once."""
        with contextlib.closing(Connection(address)) as connection:
            connection.upload(path, self.source.descriptor, len(self.source.memory), self.size, chunked=self.chunked)


def _series(plan: Plan, results: Results, name: str, uploading: _Uploading, plain: Address) -> Figure:
    hashes: list[float] = []
    disk: list[float] = []
    peers: list[float] = []
    moved = uploading.size * uploading.streams / MIB
    for _ in range(plan.rounds):
        seconds, digests = hash_alone(uploading.source, uploading.size, uploading.streams)
        hashes.append(moved / seconds)
        seconds = write_alone(uploading.source, uploading.size, uploading.streams, uploading.server.data_dir)
        disk.append(moved / seconds)
        peers.append(uploading.plain(plain, digests))
        uploading.once(digests)
    hashed = results.add(BENCH, f"md5 and sha512 alone, {name}", "MiB/s", hashes)
    written = results.add(BENCH, f"the disk alone, {name}", "MiB/s", disk)
    read = results.add(BENCH, f"a thread that reads, {name}", "MiB/s", peers)
    figure = results.add(BENCH, f"upload, {name}", "MiB/s", uploading.rates, beside=hashed)
    results.add(BENCH, f"upload, {name} (beside the thread)", "MiB/s", uploading.rates, beside=read)
    results.add(BENCH, f"upload, {name} (beside the disk)", "MiB/s", uploading.rates, beside=written)
    results.add(BENCH, f"processor time of the server, {name}", "s/GiB", uploading.cpu)
    results.add(BENCH, f"memory growth, {name}", "MiB", uploading.memory)
    return figure
