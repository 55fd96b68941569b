"""Show and list at several sizes of the catalogue: requests in a second, and what one page takes."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from tools.benches.connection import Address, Connection
from tools.benches.failure import BenchFailed
from tools.benches.filled_catalogue import fill
from tools.benches.plan import Plan
from tools.benches.request_rate import requests_per_s
from tools.benches.results import Figure, Results
from tools.benches.server import Server, serving

BENCH = "list"
PAGE = 25
_SHOWN = 2000  # different images that are shown in turn
# Pages that one catalogue gives before it is the next one's turn: so many, or for so long.
_IN_A_ROW = 20
_IN_A_ROW_S = 0.1


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """A running server with so many images."""

    server: Server
    shown: list[str]  # paths
    pages: Mapping[str, str]  # path by what the page is


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of show and list.

    Raises:
        BenchFailed: A page has not as many images as it should.
    """
    room = plan.room(BENCH)
    with contextlib.ExitStack() as stack:
        catalogues: dict[int, _Catalogue] = {}
        for count in plan.catalogues:
            data_dir = room / str(count)
            ids = fill(data_dir, count).ids
            server = stack.enter_context(serving(data_dir, plan.workers))
            catalogues[count] = _Catalogue(server, _some(ids), _pages(ids))
        _rates(plan, results, catalogues)
        _page_times(plan, results, catalogues)


def _some(ids: list[str]) -> list[str]:
    chosen = random.Random(0).sample(ids, min(_SHOWN, len(ids)))
    return [f"/v2/images/{image_id}" for image_id in chosen]


def _pages(ids: list[str]) -> dict[str, str]:
    """Return each kind of page; each has ``PAGE`` images at every size of the catalogue."""
    middle = ids[len(ids) // 2]
    page = f"/v2/images?limit={PAGE}"
    return {
        "first page": page,
        "deep page": f"{page}&marker={middle}",
        "by a property of many": f"{page}&os_distro=ubuntu",
        "by a property of 30 images": f"{page}&rare=yes",
        "by two properties": f"{page}&architecture=x86_64&os_distro=ubuntu",
        "by tag": f"{page}&tag=production",
        "by name": f"{page}&name=ubuntu-nightly",
        "sorted by name, deep": f"{page}&sort=name:asc&marker={middle}",
        "sorted by size": f"{page}&sort=size:desc",
    }


def _rates(plan: Plan, results: Results, catalogues: Mapping[int, _Catalogue]) -> None:
    runs: dict[tuple[str, int], list[float]] = {}
    for _ in range(plan.rounds):
        for count, catalogue in catalogues.items():
            for name, paths in (("show", catalogue.shown), (f"list of {PAGE}", [f"/v2/images?limit={PAGE}"])):
                rate = requests_per_s(
                    catalogue.server.images, paths, plan.seconds, plan.load_generator, catalogue.server.data_dir
                )
                runs.setdefault((name, count), []).append(rate)
    figures = {
        key: results.add(BENCH, f"{key[0]} at {_number(key[1])} images", "requests/s", rates)
        for key, rates in sorted(runs.items(), key=lambda item: item[0][0], reverse=True)
    }
    for (name, count), figure in figures.items():
        limit = 3000 if name == "show" else 1000
        results.aim(BENCH, f"{name} at {_number(count)} images", figure.median, "at least", limit, "requests/s")


def _page_times(plan: Plan, results: Results, catalogues: Mapping[int, _Catalogue]) -> None:
    least, most = min(catalogues), max(catalogues)
    for kind in catalogues[least].pages:
        times = _times(plan, {count: (each.server.images, each.pages[kind]) for count, each in catalogues.items()})
        figures: dict[int, Figure] = {}
        for count in catalogues:
            name = f"page, {kind}, at {_number(count)} images"
            figures[count] = results.add(BENCH, name, "ms", times[count], beside=figures.get(least))
        if least == most:
            continue
        sentence = f"page, {kind}: {_number(most)} beside {_number(least)} images"
        results.aim(BENCH, sentence, figures[most].ratio, "under", 1.5, "times")


def _times(plan: Plan, pages: Mapping[int, tuple[Address, str]]) -> dict[int, list[float]]:
    """Return what a page of each catalogue takes, in ms: medians of some in a row, catalogue after catalogue."""
    times: dict[int, list[float]] = {count: [] for count in pages}
    with contextlib.ExitStack() as stack:
        connections = {
            count: stack.enter_context(contextlib.closing(Connection(address))) for count, (address, _) in pages.items()
        }
        for count, (_, path) in pages.items():  # the first answer of a kind prepares the statement
            for _ in range(2):
                found = msgspec.json.decode(connections[count].get(path))["images"]
            if len(found) != PAGE:
                raise BenchFailed(f"{path} gave {len(found)} of {count} images")
        for _ in range(max(1, plan.pages // _IN_A_ROW)):
            for count, (_, path) in pages.items():
                in_a_row: list[float] = []
                while len(in_a_row) < _IN_A_ROW and sum(in_a_row) < _IN_A_ROW_S * 1000:
                    started = time.perf_counter()
                    connections[count].get(path)
                    in_a_row.append((time.perf_counter() - started) * 1000)
                times[count].append(statistics.median(in_a_row))
    return times


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
