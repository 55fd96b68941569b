"""Many readers of one image that is not in the cache yet, and downloads from the cache beside those of a file store.

The store is in a bucket of a real server; what is read from it is what the metrics of Headwater say.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import msgspec
from tools.benches.failure import BenchFailed
from tools.benches.images import image_requests
from tools.benches.images.downloads import forget, largest_file, read, uploaded
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Address, Connection
from tools.benches.measuring.limits import seconds_together
from tools.benches.measuring.server import Server, serving
from tools.benches.plan import MIB, Plan
from tools.benches.results import Results

from headwater.stores.s3.settings import S3StoreSettings
from servers import process
from servers.openstack import swift

BENCH = "cache"
_KEPT_S = 60
_LEAST = 0.9  # of a download from a file store
_TURNS = 4  # in each round: a download takes part of a second, and single ones differ twofold, also from equal servers


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of the cache.

    Raises:
        BenchFailed: A server is not installed, or what came is not as long as it should be.
    """
    room = plan.room(BENCH)
    if not swift.is_installed():
        raise BenchFailed("Swift is not installed (.venv-swift): 'make setup' does it")
    with swift.prepared() as (site, server), process.running(server) as port:
        service = swift.Swift(port, site)
        settings = _settings(swift.s3_settings(service, service.container()), room / "copies", plan.cache_size)
        with serving(room / "far", plan.workers, settings=settings) as far:
            image_id = uploaded(far, plan.cache_size)
            _cold(plan, results, far, image_id)
            _copy(room / "copies")
        with serving(room / "near", plan.workers) as near:
            near_id = uploaded(near, plan.cache_size)
        # Both begin anew: what they did before, for many or for one, is no part of what is compared.
        with (
            serving(room / "far", plan.workers, settings=settings) as far,
            serving(room / "near", plan.workers) as near,
        ):
            # Both as the disk gives them: what was just written lies in memory in smaller parts, which are sent slower.
            for file in (_copy(room / "copies"), largest_file(near.data_dir)):
                forget(file)
                read(file)
            _warm(plan, results, (far, image_id), (near, near_id))


def _settings(store: S3StoreSettings, directory: Path, size: int) -> dict[str, str]:
    section = {**store.model_dump(mode="json", exclude_unset=True), "secret_key": store.secret_key.get_secret_value()}
    return {
        "HEADWATER_STORES": msgspec.json.encode({"far": section}).decode(),
        "HEADWATER_CACHE__DIRECTORY": str(directory),
        "HEADWATER_CACHE__MAX_SIZE": str(2 * size),
    }


def _cold(plan: Plan, results: Results, far: Server, image_id: str) -> None:
    """Let many read at the same time what is not in the cache."""
    size, readers = plan.cache_size, plan.cache_readers
    before, idle = _read_from_store(far.images), processes.resident(far.pids)
    processes.forget_peak(far.pids)
    seconds = seconds_together([lambda: _download(far.images, image_id, size)] * readers)
    grown = max(0, processes.peak_resident(far.pids) - idle) / MIB
    times = (_read_from_store(far.images) - before) / size
    what = f"{readers} readers of one cold image"
    results.add(BENCH, f"{what}, together", "MiB/s", [readers * size / MIB / seconds])
    results.add(BENCH, f"{what}: memory growth", "MiB", [grown])
    results.add(BENCH, f"{what}: read from the store", "times", [times])
    results.aim(BENCH, f"{what}: read from the store", times, "under", 1.01, "times")


def _copy(directory: Path) -> Path:
    """Return the only image of a cache, once it is there."""
    deadline = time.monotonic() + _KEPT_S
    while time.monotonic() < deadline:
        for file in (directory / "images").iterdir():
            return file
        time.sleep(0.1)
    raise BenchFailed(f"the image is not in the cache after {_KEPT_S} s")


def _warm(plan: Plan, results: Results, far: tuple[Server, str], near: tuple[Server, str]) -> None:
    """Download from the cache and from a file store, in turn; who is first in a turn is second in the next."""
    size = plan.cache_size
    cached: list[float] = []
    filed: list[float] = []
    order = [(filed, near), (cached, far)]
    for _ in range(_TURNS * plan.rounds):
        order.reverse()
        for rates, (server, its) in order:
            rates.append(size / MIB / seconds_together([lambda one=server, its=its: _download(one.images, its, size)]))  # type: ignore[misc]  # binds this turn's
    peer = results.add(BENCH, "download from a file store", "MiB/s", filed)
    figure = results.add(BENCH, "download from the cache", "MiB/s", cached, beside=peer)
    results.aim(BENCH, "a download from the cache, of one from a file store", figure.ratio, "at least", _LEAST, "of it")


def _download(address: Address, image_id: str, size: int) -> None:
    with contextlib.closing(Connection(address)) as connection:
        received = connection.download(image_requests.data(image_id))
    if received != size:
        raise BenchFailed(f"{received} bytes came of {size}")


def _read_from_store(address: Address) -> float:
    with contextlib.closing(Connection(address)) as connection:
        counted = connection.get("/metrics").decode()
    return sum(
        float(value)
        for labels, value in re.findall(r"^headwater_store_bytes_total\{(.*)\} (\S+)$", counted, re.MULTILINE)
        if 'direction="read"' in labels
    )
