"""Show, list, create and patch at several sizes of the catalogue, on each database, for a member and an admin.

Each catalogue has a server of its own, and all of them are asked in turn. Callers bring tokens of Keystone, which
Headwater keeps after the first request.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import msgspec
from tools.benches.failure import BenchFailed
from tools.benches.images.filled_catalogue import Filled, fill
from tools.benches.measuring.connection import Address, Connection
from tools.benches.measuring.request_rate import Requests, requests_per_s
from tools.benches.measuring.server import Server, serving
from tools.benches.plan import Plan
from tools.benches.results import Figure, Results
from tools.benches.surroundings import Callers, Databases, callers

BENCH = "list"
PAGE = 25
_SHOWN = 2000  # different images that are shown, or patched, in turn
# Pages that one catalogue gives before it is the next one's turn: so many, or for so long.
_IN_A_ROW = 20
_IN_A_ROW_S = 0.1
_WITHIN = 2.0  # times what it takes in the smallest catalogue
_RATES = {"show": 3000, f"list of {PAGE}": 1000, "create": 800}
_NEW = msgspec.json.encode(
    {
        "name": "snapshot-@",
        "disk_format": "qcow2",
        "container_format": "bare",
        "tags": ["nightly"],
        "os_distro": "ubuntu",
        "os_version": "24.04",
    }
).decode()
_CHANGE = '[{"op": "replace", "path": "/name", "value": "snapshot-@"}, {"op": "add", "path": "/build", "value": "@"}]'
_PATCH = "application/openstack-images-v2.1-json-patch"


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A running server with so many images."""

    database: str
    count: int
    server: Server
    filled: Filled

    def ids(self, who: str) -> list[str]:
        """Return what the usual list of ``who`` shows, or more."""
        return self.filled.ids if who == "admin" else self.filled.seen


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures.

    Raises:
        BenchFailed: A page has not as many images as it should.
    """
    room = plan.room(BENCH)
    with contextlib.ExitStack() as stack:
        who = stack.enter_context(callers())
        databases = Databases(stack)
        places = {
            (kind, count): (room / f"{kind}-{count}", databases.url(kind, room / f"{kind}-{count}"))
            for kind in plan.databases
            for count in plan.catalogues
        }
        filled = _fill_all(results, {key: url for key, (_, url) in places.items()}, who.project)
        running = [
            _Catalogue(kind, count, stack.enter_context(_serving(plan, who, data_dir, url)), filled[kind, count])
            for (kind, count), (data_dir, url) in places.items()
        ]
        for kind in plan.databases:
            here = [each for each in running if each.database == kind]
            for name, headers in who.headers.items():
                _page_times(plan, results, here, name, headers)
            _rates(plan, results, here, who, room)


def _serving(plan: Plan, who: Callers, data_dir: Path, url: str) -> contextlib.AbstractContextManager[Server]:
    settings = {**who.settings, "HEADWATER_DATABASE__URL": url, "HEADWATER_LOG__LEVEL": "info"}
    return serving(data_dir, plan.workers, settings=settings, headers=who.headers["admin"])


def _fill_all(results: Results, urls: Mapping[tuple[str, int], str], project: str) -> dict[tuple[str, int], Filled]:
    """Fill all catalogues, two at a time; note how long the largest took."""
    # Started anew, because a fork of a process with threads is none to rely on.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        largest_first = sorted(urls, key=lambda key: -key[1])
        coming = {key: processes.submit(_timed_fill, urls[key], key[1], project) for key in largest_first}
        done = {key: each.result() for key, each in coming.items()}
    for (kind, count), (_, seconds) in done.items():
        if count == largest_first[0][1]:
            results.add(BENCH, f"fill {_number(count)} images, {kind}", "s", [seconds])
    return {key: filled for key, (filled, _) in done.items()}


def _timed_fill(url: str, count: int, project: str) -> tuple[Filled, float]:
    started = time.perf_counter()
    filled = fill(url, count, project)
    return filled, time.perf_counter() - started


# --- One page at a time -------------------------------------------------------------------------------


def _pages(catalogue: _Catalogue, who: str) -> dict[str, str]:
    """Return each kind of page; each has ``PAGE`` images at every size of the catalogue."""
    shown = catalogue.ids(who)
    middle = shown[len(shown) * 3 // 5]  # oldest first: more than a page comes after it in every order
    page = f"/v2/images?limit={PAGE}"
    return {
        "first page": page,
        "deep page": f"{page}&marker={middle}",
        "by a property of many": f"{page}&os_distro=ubuntu",
        "by a property of 30 images": f"{page}&rare=yes",
        "by two properties": f"{page}&architecture=x86_64&os_distro=ubuntu",
        "by tag": f"{page}&tag=production",
        "by name": f"{page}&name=nightly",
        "by visibility": f"{page}&visibility=public",
        "sorted by name": f"{page}&sort=name:asc",
        "sorted by size": f"{page}&sort=size:desc",
    }


def _page_times(
    plan: Plan, results: Results, catalogues: Sequence[_Catalogue], who: str, headers: Mapping[str, str]
) -> None:
    least, most = catalogues[0], catalogues[-1]
    for kind in _pages(least, who):
        times = _times(plan, [(each.server.images, _pages(each, who)[kind]) for each in catalogues], headers)
        first: Figure | None = None
        figure: Figure | None = None
        for each, runs in zip(catalogues, times, strict=True):
            name = f"page, {kind}, {who}, {each.database}, at {_number(each.count)} images"
            figure = results.add(BENCH, name, "ms", runs, beside=first)
            first = first or figure
        if figure is not None and least is not most:
            sentence = (
                f"page, {kind}, {who}, {least.database}: {_number(most.count)} beside {_number(least.count)} images"
            )
            results.aim(BENCH, sentence, figure.ratio, "under", _WITHIN, "times")


def _times(plan: Plan, pages: Sequence[tuple[Address, str]], headers: Mapping[str, str]) -> list[list[float]]:
    """Return what a page of each catalogue takes, in ms: medians of some in a row, catalogue after catalogue."""
    times: list[list[float]] = [[] for _ in pages]
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(contextlib.closing(Connection(address, headers=headers))) for address, _ in pages
        ]
        for connection, (_, path) in zip(connections, pages, strict=True):
            for _ in range(12):  # the first answers of a kind prepare the statement, in each worker
                found = msgspec.json.decode(connection.get(path))["images"]
            if len(found) != PAGE:
                raise BenchFailed(f"{path} gave {len(found)} images")
        for _ in range(max(1, plan.pages // _IN_A_ROW)):
            for runs, connection, (_, path) in zip(times, connections, pages, strict=True):
                in_a_row: list[float] = []
                while len(in_a_row) < _IN_A_ROW and sum(in_a_row) < _IN_A_ROW_S * 1000:
                    started = time.perf_counter()
                    connection.get(path)
                    in_a_row.append((time.perf_counter() - started) * 1000)
                runs.append(statistics.median(in_a_row))
    return times


# --- As many as are answered --------------------------------------------------------------------------


def _rates(plan: Plan, results: Results, catalogues: Sequence[_Catalogue], who: Callers, room: Path) -> None:
    name = "member" if "member" in who.headers else "admin"
    kinds = [kind for kind, _ in _asked(catalogues[0], name, who.headers[name])]
    for kind in kinds:  # what writes comes last
        runs: dict[int, list[float]] = {each.count: [] for each in catalogues}
        flushes: list[float] = []
        for _ in range(plan.rounds):
            if kind in ("create", "patch"):
                flushes.append(_flushes_per_s(room, min(plan.seconds, 0.5)))
            for each in catalogues:
                requests = dict(_asked(each, name, who.headers[name]))[kind]
                rate = requests_per_s(each.server.images, requests, plan.seconds, plan.load_generator, room)
                runs[each.count].append(rate)
        database = catalogues[0].database
        if flushes:
            limit = results.add(
                BENCH, f"flushes of the disk, one after the other, beside {kind}, {database}", "1/s", flushes
            )
        first: Figure | None = None
        for count, rates in runs.items():
            title = f"{kind}, {name}, {database}, at {_number(count)} images"
            figure = results.add(BENCH, title, "requests/s", rates, beside=first or (limit if flushes else None))
            if kind in _RATES:
                results.aim(BENCH, title, figure.median, "at least", _RATES[kind], "requests/s")
            if first is not None and count == catalogues[-1].count:
                sentence = f"{kind}, {name}, {database}: {_number(count)} beside {_number(catalogues[0].count)} images"
                results.aim(BENCH, sentence, figure.ratio, "at least", 1 / _WITHIN, "times")
            first = first or figure


def _asked(catalogue: _Catalogue, who: str, headers: Mapping[str, str]) -> Iterator[tuple[str, Requests]]:
    pages = _pages(catalogue, who)
    shown = Requests([f"/v2/images/{image_id}" for image_id in _some(catalogue.ids(who))], headers=headers)
    yield "show", shown
    yield f"list of {PAGE}", replace(shown, paths=[pages["first page"]])
    for kind in ("by a property of many", "by tag", "by name", "deep page"):
        yield f"list of {PAGE}, {kind}", replace(shown, paths=[pages[kind]])
    yield "create", replace(shown, paths=["/v2/images"], method="POST", media_type="application/json", body=_NEW)
    own = [f"/v2/images/{image_id}" for image_id in _some(catalogue.filled.own)]
    yield "patch", replace(shown, paths=own, method="PATCH", media_type=_PATCH, body=_CHANGE)


def _some(ids: Sequence[str]) -> list[str]:
    return random.Random(0).sample(ids, min(_SHOWN, len(ids)))


def _flushes_per_s(room: Path, seconds: float) -> float:
    """Return how often a second this disk can be told to keep 4 KiB, and has kept it."""
    file = room / "flushed"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        started, count = time.perf_counter(), 0
        while time.perf_counter() < started + seconds:
            os.pwrite(descriptor, bytes(4096), 4096 * (count % 1000))
            os.fdatasync(descriptor)
            count += 1
        return count / (time.perf_counter() - started)
    finally:
        os.close(descriptor)
        file.unlink()


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
