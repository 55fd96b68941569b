"""How many config drives are written in a second, by layout and kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.benches.plan import Plan
from tools.benches.results import Results

from headwater.instances.media.config_drive import Layout, write_config_drive
from headwater.instances.media.writing.file import Kind
from headwater.instances.model import Instance
from headwater.instances.service import Description, described

BENCH = "config-drives"
_AT = 1_700_000_000
_LEAST = 50
_KINDS: tuple[tuple[Layout, Kind], ...] = (
    ("openstack", "iso9660"),
    ("openstack", "vfat"),
    ("nocloud", "iso9660"),
    ("nocloud", "vfat"),
)


def measure(plan: Plan, results: Results) -> None:
    """Fill in how many whole media are on the disk in a second, one after another."""
    room = plan.room(BENCH)
    said = Description(
        name="web1", user_data=b"#cloud-config\n" + b"# filler\n" * 400, meta={"role": "web"}, addresses=["192.0.2.5"]
    )
    instance = described(said)
    for layout, kind in _KINDS:
        write = partial(_write, instance, room, layout, kind)
        rates = [_rate(write, plan.seconds) for _ in range(plan.rounds)]
        figure = results.add(BENCH, f"{layout}, {kind}", "per s", rates)
        results.aim(BENCH, f"{layout}, {kind}", figure.median, "at least", _LEAST, "per s")


def _write(instance: Instance, room: Path, layout: Layout, kind: Kind) -> None:
    write_config_drive(instance, room / "drive", _AT, layout=layout, kind=kind, replace=True)


def _rate(work: Callable[[], None], seconds: float) -> float:
    started, count = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds or not count:
        work()
        count += 1
    return count / took
