"""What imports unpack, beside the tool of each format doing the same."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Results

from headwater.images.imports.plugins.decompression import Decompression, DecompressionSettings
from headwater.images.imports.plugins.plugin import Data, Work, read
from headwater.images.inspection.inspect import Rules

BENCH = "decompression"
_PACK = {"gzip": ("gzip", "-1"), "xz": ("xz", "-1"), "bzip2": ("bzip2", "-1"), "zstd": ("zstd", "-q")}
_LARGEST = 1 * GIB
_LEAST = 0.85


def measure(plan: Plan, results: Results) -> None:
    """Fill in how fast each format is unpacked; a tool that is not there is left out.

    Raises:
        BenchFailed: What was unpacked is not what was packed.
    """
    room = plan.room(BENCH)
    disk = room / "disk"
    _write_disk(disk, min(plan.upload_size, _LARGEST))
    size = disk.stat().st_size
    for kind, pack in _PACK.items():
        if shutil.which(pack[0]) is None:
            continue
        packed = room / kind
        with packed.open("wb") as out:
            subprocess.run([*pack, "-c", str(disk)], stdout=out, check=True)
        tool, ours = [], []
        for _ in range(3):
            tool.append(size / MIB / _seconds_of_tool(pack[0], packed))
            ours.append(size / MIB / _seconds_of_ours(packed, size, room))
        alone = results.add(BENCH, f"{kind}, the tool alone", "MiB/s", tool)
        unpacked = results.add(BENCH, kind, "MiB/s", ours, beside=alone)
        results.aim(BENCH, f"{kind}, of the tool alone", unpacked.ratio, "at least", _LEAST, "of the tool")
        packed.unlink()
    disk.unlink()


def _write_disk(disk: Path, size: int) -> None:
    """Write what a disk has: what repeats, what does not, and much that is empty."""
    chance, left = random.Random(1), size
    with disk.open("wb") as out:
        while left > 0:
            part = chance.randbytes(4096) * 64 + chance.randbytes(256 << 10) + bytes(512 << 10)
            out.write(part[:left])
            left -= len(part)


def _seconds_of_tool(name: str, packed: Path) -> float:
    started = time.perf_counter()
    subprocess.run([name, "-dcf", str(packed)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def _seconds_of_ours(packed: Path, size: int, room: Path) -> float:
    work = Work(
        scratch=room,
        size_cap=size,
        rules=Rules(),
        roles=frozenset(),
        is_signed=False,
        advance=lambda _done, _total: None,
    )
    said = Data(disk_format="raw", container_format="bare", pieces=iter(()))
    started = time.perf_counter()
    count = sum(map(len, Decompression(DecompressionSettings()).apply(said.holding(read(packed)), work).pieces))
    if count != size:
        raise BenchFailed(f"{packed.name}: {count} bytes were unpacked, and {size} packed")
    return time.perf_counter() - started
