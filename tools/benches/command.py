"""Arguments in, benches run in their order, tables and a JSON file out.

The exit code says whether everything could be measured: 0 also when targets are missed, 1 when
something did not work, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console
from tools.benches import machine, report, starts
from tools.benches.failure import BenchFailed
from tools.benches.images import (
    cached_downloads,
    catalogue_calls,
    ceph,
    decompression,
    downloads,
    filled_catalogue,
    imports,
    slow_readers,
    stores,
    uploads,
)
from tools.benches.instances import boot_storm, config_drives, guests_beside, metadata_port, registry
from tools.benches.measuring import request_rate
from tools.benches.plan import GIB, MIB, Plan
from tools.benches.results import Results
from tools.benches.streams import checking, feed, feed_rate, mirror, query

_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_BENCHES: Mapping[str, Callable[[Plan, Results], None]] = {
    starts.BENCH: starts.measure,
    uploads.BENCH: uploads.measure,
    downloads.BENCH: downloads.measure,
    stores.BENCH: stores.measure,
    imports.BENCH: imports.measure,
    cached_downloads.BENCH: cached_downloads.measure,
    slow_readers.BENCH: slow_readers.measure,
    catalogue_calls.BENCH: catalogue_calls.measure,
    feed.BENCH: feed.measure,
    feed_rate.BENCH: feed_rate.measure,
    metadata_port.BENCH: metadata_port.measure,
    config_drives.BENCH: config_drives.measure,
    guests_beside.BENCH: guests_beside.measure,
    boot_storm.BENCH: boot_storm.measure,
    registry.BENCH: registry.measure,
    decompression.BENCH: decompression.measure,
    query.BENCH: query.measure,
    mirror.BENCH: mirror.measure,
    checking.LINT: checking.measure_lint,
    checking.VALIDATE: checking.measure_validate,
    ceph.BENCH: ceph.measure,
}
_ASKED_FOR = frozenset({ceph.BENCH})  # what they need is not set up by ``make bench``
_UNITS = {"": 1, "k": 1 << 10, "m": MIB, "g": GIB}
_BUSY = 0.5  # load of others above which figures are not to be trusted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; return the exit code."""
    given = _parser().parse_args(arguments)
    if sys.platform != "linux":
        sys.stderr.write("bench: it reads /proc and writes past the page cache, as only Linux lets it\n")
        return 2
    console = Console(width=None if sys.stdout.isatty() else 180)  # no line of a report breaks
    signal.signal(signal.SIGTERM, _stop)  # so that servers are stopped on the way out
    try:
        rooms = Path(tempfile.mkdtemp(prefix=".bench-", dir=given.data_dir))
    except OSError as error:
        sys.stderr.write(f"bench: cannot write to {given.data_dir}: {error.strerror}\n")
        return 2
    try:
        file = _run(given, _plan(given, rooms), console)
    except (BenchFailed, OSError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(rooms, ignore_errors=True)
    console.print(f"written to {file}")
    return 0


def _run(given: argparse.Namespace, plan: Plan, console: Console) -> Path:
    generator = request_rate.chosen(plan.load_generator)
    plan = replace(plan, load_generator=generator)
    where = machine.describe(plan.rooms)
    console.print(
        f"{where['processor']}, {where['cores']} cores, {where['memory_gib']} GiB, {where['file_system']}, "
        f"Python {where['python']}, Headwater {where['versions']['headwater']} ({where['commit']}), {generator}"
    )
    if where["load_before"] > _BUSY:
        console.print(f"something else uses this machine (load {where['load_before']:.1f}): the figures will waver")
    started_at, started = datetime.now(UTC), time.perf_counter()
    results = Results()
    for name in given.only or [each for each in _BENCHES if each not in _ASKED_FOR]:
        with console.status(f"measuring {name} …"):
            _BENCHES[name](plan, results)
        shutil.rmtree(plan.rooms / name)  # room for the next one
        console.rule(name)
        report.print_figures(console, [figure for figure in results.figures if figure.bench == name])
    console.rule("targets")
    report.print_targets(console, results)
    written = report.document(
        started_at.isoformat(timespec="seconds"), time.perf_counter() - started, where, plan, results
    )
    file: Path = given.output / f"bench-{started_at:%Y%m%dT%H%M%SZ}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")
    return file


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _plan(given: argparse.Namespace, rooms: Path) -> Plan:
    plan = Plan(rooms=rooms)
    if given.quick:
        plan = replace(
            plan,
            rounds=2,
            upload_size=256 * MIB,
            upload_size_of_four=128 * MIB,
            download_size=256 * MIB,
            store_size=64 * MIB,
            import_size=64 * MIB,
            cache_size=32 * MIB,
            seconds=1.0,
            pages=60,
            starts=2,
            catalogues=(100, 10_000),
            registries=(100, 10_000),
            feed_sizes=(10 * MIB,),
            mirrored_files=2000,
        )
    chosen = {name: getattr(given, name) for name in Plan.__slots__ if getattr(given, name, None) is not None}
    return replace(plan, **chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/bench.py", description="Measure this checkout on this machine; see docs/explanation/performance.md."
    )
    parser.add_argument("--quick", action="store_true", help="smaller and shorter, under a minute")
    parser.add_argument("--only", type=_names, metavar="NAME,…", help=f"some of {', '.join(_BENCHES)}")
    parser.add_argument(
        "--data-dir", type=Path, default=_CHECKOUT, help="directory on the disk to measure (default: the checkout)"
    )
    parser.add_argument(
        "--output", type=Path, default=_CHECKOUT, help="directory for bench-TIME.json (default: the checkout)"
    )
    parser.add_argument("--workers", type=_count, help="worker processes of the server (default: its own)")
    parser.add_argument("--rounds", type=_count, help="how often each thing is measured")
    parser.add_argument("--upload-size", type=_size, metavar="SIZE", help="one upload, such as 2G or 512M")
    parser.add_argument("--upload-size-of-four", type=_size, metavar="SIZE", help="each of four uploads at a time")
    parser.add_argument("--download-size", type=_size, metavar="SIZE", help="the image that is downloaded")
    parser.add_argument("--store-size", type=_size, metavar="SIZE", help="what goes through each store")
    parser.add_argument("--import-size", type=_size, metavar="SIZE", help="what is imported by each method")
    parser.add_argument("--cache-size", type=_size, metavar="SIZE", help="the image that is read through the cache")
    parser.add_argument("--cache-readers", type=_count, help="readers of one cold image at a time")
    parser.add_argument("--readers", type=_count, help="slow readers at a time")
    parser.add_argument("--catalogues", type=_counts, metavar="N,…", help="images in each catalogue, ascending")
    parser.add_argument(
        "--registries", type=_registries, metavar="N,N", help="instances in a small registry and in a large one"
    )
    parser.add_argument("--databases", type=_databases, metavar="NAME,…", help="sqlite, postgresql or both")
    parser.add_argument("--seconds", type=float, help="each burst of small requests")
    parser.add_argument("--pages", type=_count, help="how often each page is asked for")
    parser.add_argument("--starts", type=_count, help="how often the server is started to be timed")
    parser.add_argument("--feed-sizes", type=_sizes, metavar="SIZE,…", help="the feeds that are asked")
    parser.add_argument("--mirrored-files", type=_count, help="the small files that are mirrored")
    parser.add_argument("--guests", type=_count, help="that boot at once")
    parser.add_argument("--load-generator", choices=("auto", "wrk", "own"), help="what makes the small requests")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in _BENCHES]:
        raise argparse.ArgumentTypeError(f"there is no bench {unknown[0]!r}; there are {', '.join(_BENCHES)}")
    return [name for name in _BENCHES if name in names]


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})([kmg]?)(?:ib)?", text.lower())
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 512M or 2G")
    return int(match[1]) * _UNITS[match[2]]


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_size(each) for each in text.split(",")))


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _databases(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in Plan(rooms=Path()).databases]:
        raise argparse.ArgumentTypeError(f"there is no catalogue on {unknown[0]!r} here; there are sqlite, postgresql")
    return names


def _registries(text: str) -> tuple[int, ...]:
    counts = tuple(_count(each) for each in text.split(","))
    if len(counts) != 2 or counts[0] >= counts[1] or counts[1] >= 1 << 24:
        raise argparse.ArgumentTypeError(f"{text!r} is not a small number and a larger one, below {1 << 24}")
    return counts


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(sorted({_count(each) for each in text.split(",")}))
    if counts[0] < filled_catalogue.LEAST:
        raise argparse.ArgumentTypeError(f"a catalogue of this bench has {filled_catalogue.LEAST} images or more")
    return counts
