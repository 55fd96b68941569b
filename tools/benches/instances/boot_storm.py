"""A boot storm: 1 000 guests crawl all of their metadata, 30 requests each, all at once.

First with nothing in memory, then, after two more, with nearly all of it in the memory of both workers; beside it a
server of static files on the same machine, asked for as many files of the same size by the same client in the same run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tools.benches.failure import BenchFailed
from tools.benches.measuring import static_peer
from tools.benches.measuring.connection import Address
from tools.benches.measuring.server import serving
from tools.benches.plan import Plan
from tools.benches.results import Results

from headwater.clock import now
from headwater.database.engine import Database
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.service import Description, described

BENCH = "boot-storm"
CONNECTIONS = 256
WORKERS = 2
# A guest's connection reaches one of the workers; after so many storms each has seen nearly all guests.
_WARMING = 3
_TARGET = 8000
_TARGET_P99_MS = 50
_CHECKOUT = Path(__file__).resolve().parents[3]
# What cloud-init 22.4 asks for on OpenStack. Source: its request log.
_LEAVES = ("ami-id", "ami-launch-index", "ami-manifest-path", "hostname", "instance-action", "instance-id")
_MORE_LEAVES = ("local-hostname", "local-ipv4", "public-hostname", "reservation-id", "security-groups")
CRAWL = (
    *("/openstack", "/openstack"),
    *(f"/openstack/2018-08-27/{name}" for name in ("meta_data.json", "user_data", "vendor_data.json")),
    *(f"/openstack/2018-08-27/{name}" for name in ("vendor_data2.json", "meta_data.json")),
    *("/latest/meta-data/", "/latest/meta-data/block-device-mapping/", "/latest/meta-data/placement/"),
    *(f"/latest/meta-data/block-device-mapping/{name}" for name in ("ami", "ephemeral0", "root", "swap")),
    *(f"/latest/meta-data/{name}" for name in (*_LEAVES, *_MORE_LEAVES)),
    *("/latest/meta-data/placement/availability-zone", "/latest/user-data"),
    *("/2009-04-04/meta-data/instance-id", "/2009-04-04/user-data", "/2009-04-04/meta-data/"),
)


@dataclass(frozen=True, slots=True)
class Storm:
    """What the client has seen; an answer that is no success ends it."""

    requests_per_s: float
    p99_ms: float


def measure(plan: Plan, results: Results) -> None:
    """Fill in how a storm is weathered.

    Raises:
        BenchFailed: A request failed.
    """
    room = plan.room(BENCH)
    cold: list[Storm] = []
    warm: list[Storm] = []
    beside: list[Storm] = []
    settings = {"HEADWATER_SERVER__METADATA_TRUSTED_PROXIES": '["127.0.0.1"]'}
    files = room / "files"
    files.mkdir()
    for each in range(len(CRAWL)):
        (files / str(each)).write_bytes(b"x" * 200)
    for turn in range(plan.rounds):
        data = room / f"data-{turn}"
        guests = [f"10.{each >> 16}.{each >> 8 & 255}.{each & 255}" for each in range(1, plan.guests + 1)]
        with serving(data, WORKERS, settings=settings) as server:
            _register(data, guests)
            cold.append(_storm(server.metadata, guests, CRAWL, room))
            for _ in range(_WARMING - 1):
                _storm(server.metadata, guests, CRAWL, room)
            warm.append(_storm(server.metadata, guests, CRAWL, room))
        with static_peer.peer(files, WORKERS) as peer:
            beside.append(_storm(peer, guests, [f"/{each}" for each in range(len(CRAWL))], room))
    rates = results.add(BENCH, "static files", "requests/s", [each.requests_per_s for each in beside])
    results.add(BENCH, "cold", "requests/s", [each.requests_per_s for each in cold], beside=rates)
    rate = results.add(BENCH, "warm", "requests/s", [each.requests_per_s for each in warm], beside=rates)
    tails = results.add(BENCH, "static files, p99", "ms", [each.p99_ms for each in beside])
    results.add(BENCH, "cold, p99", "ms", [each.p99_ms for each in cold], beside=tails)
    tail = results.add(BENCH, "warm, p99", "ms", [each.p99_ms for each in warm], beside=tails)
    results.aim(BENCH, "a warm storm", rate.median, "at least", _TARGET, "requests/s")
    results.aim(BENCH, "p99 of a warm storm", tail.median, "under", _TARGET_P99_MS, "ms")


def _register(data_dir: Path, guests: Sequence[str]) -> None:
    database = Database(f"sqlite:///{data_dir / 'headwater.db'}", may_make=False)
    try:
        rows = InstanceRows(database)
        for number, address in enumerate(guests):
            said = Description(name=f"guest-{number}", addresses=(address,), user_data=b"#cloud-config\n")
            rows.add(described(said, now))
    finally:
        database.close()


def _storm(address: Address, guests: Sequence[str], paths: Sequence[str], room: Path) -> Storm:
    listed = room / "crawls.json"
    listed.write_bytes(msgspec.json.encode({"guests": guests, "paths": paths}))
    where = (address[0], str(address[1]), str(CONNECTIONS), str(listed))
    command = [sys.executable, "-m", "tools.benches.instances.storm_client", *where]
    done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise BenchFailed(f"the storm failed: {(done.stderr or done.stdout)[-1000:].strip()}")
    return msgspec.json.decode(done.stdout, type=Storm)
