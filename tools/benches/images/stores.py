"""Stores on servers of others, beside the service's own client doing the same: uploads and downloads, one at a time.

The server is the real one of the tests. What is compared is this process: what the store takes beyond its client.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import msgspec
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from swiftclient.client import Connection
from swiftclient.utils import LengthWrapper
from tools.benches.failure import BenchFailed
from tools.benches.measuring import processes
from tools.benches.measuring.source import Source, source
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Results

from headwater.stores.s3.store import S3Store
from headwater.stores.store import ObjectStore
from headwater.stores.swift.store import SwiftStore
from servers import process
from servers.openstack import swift

BENCH = "stores"
_LEAST = 0.85  # of what the service's own client does
_PART = 8 * MIB
_SEGMENT = 200 * MIB
IDENTITY = "0" * 32


@dataclass(frozen=True, slots=True)
class Client:
    """The service's own client: it uploads so many bytes under a name, and reads them to the end."""

    name: str
    upload: Callable[[str, int], None]
    download: Callable[[str], int]
    is_process: bool = False  # of its own, whose memory is not looked at


@dataclass(slots=True)
class _Runs:
    """What one of the two needed."""

    rates: list[float] = field(default_factory=list)  # MiB/s
    cpu: list[float] = field(default_factory=list)  # seconds of this process, and those it waited for, for each GiB
    memory: list[float] = field(default_factory=list)  # MiB that this process took at most

    def time(self, size: int, work: Callable[[], None]) -> None:
        """Do ``work``, which moves ``size`` bytes."""
        own = [os.getpid()]
        processes.forget_peak(own)
        idle, cpu, began = processes.resident(own), _cpu_s(own), time.perf_counter()
        work()
        self.rates.append(size / MIB / (time.perf_counter() - began))
        self.cpu.append((_cpu_s(own) - cpu) / (size / GIB))
        self.memory.append(max(0, processes.peak_resident(own) - idle) / MIB)


def _cpu_s(own: list[int]) -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return processes.cpu_s(own) + spent.ru_utime + spent.ru_stime


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of stores.

    Raises:
        BenchFailed: A server is not installed, or what came back is not what was sent.
    """
    room = plan.room(BENCH)
    if not swift.is_installed():
        raise BenchFailed("Swift is not installed (.venv-swift): 'make setup' does it")
    with source() as bytes_, swift.prepared() as (site, server), process.running(server) as port:
        service = swift.Swift(port, site)
        with _s3(service, room) as store, _boto3(service, bytes_) as client:
            compare(plan, results, BENCH, "s3", store, client, bytes_)
        with _swift(service) as swift_store, _swiftclient(service, bytes_) as client:
            compare(plan, results, BENCH, "swift", swift_store, client, bytes_)


def compare(
    plan: Plan, results: Results, bench: str, name: str, store: ObjectStore, client: Client, bytes_: Source
) -> None:
    """Fill in the figures of a store and of its client, in turns."""
    size = plan.store_size
    ours = {way: _Runs() for way in ("upload", "download")}
    theirs = {way: _Runs() for way in ours}
    for number in range(plan.rounds):
        key = f"k{number}"
        theirs["upload"].time(size, lambda key=key: client.upload(f"client-{key}", size))  # type: ignore[misc]  # binds this turn's key
        ours["upload"].time(size, lambda key=key: _write(store, key, size, bytes_))  # type: ignore[misc]  # binds this turn's key
        theirs["download"].time(size, lambda key=key: _require(size, client.download(f"client-{key}")))  # type: ignore[misc]  # binds this turn's key
        ours["download"].time(size, lambda key=key: _require(size, sum(map(len, store.read(key)))))  # type: ignore[misc]  # binds this turn's key
        store.delete(key)
    for way, runs in ours.items():
        peer = results.add(bench, f"{client.name} alone, {way}", "MiB/s", theirs[way].rates)
        figure = results.add(bench, f"store {name}, {way}", "MiB/s", runs.rates, beside=peer)
        results.add(bench, f"processor time of {client.name}, {way}", "s/GiB", theirs[way].cpu)
        results.add(bench, f"processor time of store {name}, {way}", "s/GiB", runs.cpu)
        if not client.is_process:
            results.add(bench, f"memory of {client.name}, {way}", "MiB", theirs[way].memory)
        results.add(bench, f"memory of store {name}, {way}", "MiB", runs.memory)
        results.aim(bench, f"store {name}, {way}, of {client.name}", figure.ratio, "at least", _LEAST, "of the peer")


def _write(store: ObjectStore, key: str, size: int, bytes_: Source) -> None:
    writer = store.begin(key)
    try:
        for piece in bytes_.pieces(size):
            writer.write(piece)
        _require(size, writer.commit().size)
    finally:
        writer.abort()  # does nothing after a commit


def _require(size: int, moved: int) -> None:
    if moved != size:
        raise BenchFailed(f"{moved} bytes were moved, not {size}")


@contextlib.contextmanager
def _s3(service: swift.Swift, room: Path) -> Iterator[S3Store]:
    with contextlib.closing(S3Store("s3", swift.s3_settings(service, service.container()), room)) as store:
        store.expect(store.mark(IDENTITY))
        yield store


@contextlib.contextmanager
def _boto3(service: swift.Swift, bytes_: Source) -> Iterator[Client]:
    bucket = service.container()
    client = boto3.client(
        "s3",
        endpoint_url=service.s3_url,
        region_name=service.region,
        aws_access_key_id=service.writer.name,
        aws_secret_access_key=service.writer.key,
        config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
    )
    transfer = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=4)

    def upload(name: str, size: int) -> None:
        client.upload_fileobj(_File(bytes_, size), bucket, name, Config=transfer)

    def download(name: str) -> int:
        return sum(map(len, client.get_object(Bucket=bucket, Key=name)["Body"].iter_chunks(256 << 10)))

    with contextlib.closing(client):
        yield Client("boto3", upload, download)


@contextlib.contextmanager
def _swift(service: swift.Swift) -> Iterator[SwiftStore]:
    with contextlib.closing(SwiftStore("swift", swift.swift_settings(service, service.container()))) as store:
        store.expect(store.mark(IDENTITY))
        yield store


@contextlib.contextmanager
def _swiftclient(service: swift.Swift, bytes_: Source) -> Iterator[Client]:
    container = service.container()
    connection = Connection(service.auth_url, service.writer.name, service.writer.key)

    def upload(name: str, size: int) -> None:
        file, manifest = _File(bytes_, size), []
        for begin in range(0, size, _SEGMENT):
            part = LengthWrapper(file, min(_SEGMENT, size - begin), md5=True)
            tag = connection.put_object(container, f"{name}/{begin}", part)
            manifest.append({"path": f"/{container}/{name}/{begin}", "etag": tag, "size_bytes": len(part)})
            if tag != part.get_md5sum():
                raise BenchFailed("what arrived is not what was sent")
        query = "multipart-manifest=put"
        connection.put_object(container, name, msgspec.json.encode(manifest), query_string=query)

    def download(name: str) -> int:
        return sum(map(len, connection.get_object(container, name, resp_chunk_size=256 << 10)[1]))

    with contextlib.closing(connection):
        yield Client("swiftclient", upload, download)


class _File:
    """The source as a file that can only be read on, as an upload is."""

    def __init__(self, bytes_: Source, size: int) -> None:
        self._pieces = bytes_.pieces(size)
        self._rest = memoryview(b"")

    def read(self, count: int = -1) -> bytes:
        """Return so many bytes, or what is left."""
        gathered: list[memoryview] = []
        length = 0
        while count < 0 or length < count:
            if not self._rest.nbytes:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(bytes(piece))
            taken = self._rest if count < 0 else self._rest[: count - length]
            self._rest = self._rest[taken.nbytes :]
            gathered.append(taken)
            length += taken.nbytes
        return b"".join(gathered)
