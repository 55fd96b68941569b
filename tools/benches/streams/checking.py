"""Checks of large feeds, beside ``json.load`` of the same bytes and beside ``sstream-query``, which reads all too.

``lint`` holds a feed against every consumer, ``validate-images`` answers as Juju does. Each is a process, whose
processor time and largest memory count, its start too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tools.benches.measuring.watched import SSTREAM_QUERY, watched
from tools.benches.plan import MIB, Plan
from tools.benches.results import Figure, Results
from tools.benches.streams import cloud_feed

LINT, VALIDATE = "lint", "validate"
_MOST_MIB: Final = 400
_LINEAR: Final = 1.5  # times as much for each item, at most, in the largest feed as in the smallest
_FOUND_NOTHING: Final = 1
_LOAD = "import json, sys; json.load(open(sys.argv[1]))"
_COMMAND: Final = (sys.executable, "-m", "headwater.cli.main", "streams")
_CLOUD: Final = ("--base", "ubuntu@24.04", "-r", "usea1-long", "-u", "https://compute.usea1.cloud.example")


def _of_lint(feed: Path) -> dict[str, Sequence[str | Path]]:
    every: list[str | Path] = [*_COMMAND, "lint", "--json", feed / "images"]
    return {"lint, for all consumers": every, "lint, for Juju 3.6": [*every, "--consumer", "juju-3.6"]}


def _of_validate(feed: Path) -> dict[str, Sequence[str | Path]]:
    return {"validate-images": [*_COMMAND, "validate-images", "-p", "openstack", "-d", feed, *_CLOUD]}


_OURS: Final = {LINT: _of_lint, VALIDATE: _of_validate}


def _measure(bench: str, plan: Plan, results: Results) -> None:
    """Fill in what checks cost; ``sstream-query`` is left out where it is not installed.

    Raises:
        BenchFailed: A check gave no answer.
    """
    room = plan.room(bench)
    spent: list[tuple[int, Mapping[str, Figure]]] = []
    for size in plan.feed_sizes:
        feed = room / str(size)
        count = cloud_feed.write(feed / "images", size, "com.ubuntu.cloud")
        spent.append((count, _measure_size(bench, feed, f"of {count} items in {size / MIB:.0f} MiB", plan, results)))
    (few, least), (many, most) = spent[0], spent[-1]
    for what, figure in most.items() if many > few else ():
        start = least[_START].median
        each_of_few = (least[what].median - start) / few
        each_of_many = (figure.median - start) / many
        if what in _OURS[bench](room):
            sentence = f"{what}, for each item of {many} beside {few}, processor time"
            results.aim(bench, sentence, each_of_many / each_of_few, "under", _LINEAR, "times")


_START: Final = "the start of the command line"


def _measure_size(bench: str, feed: Path, end: str, plan: Plan, results: Results) -> Mapping[str, Figure]:
    index, products = feed / "images" / cloud_feed.INDEX_PATH, feed / "images" / cloud_feed.PRODUCTS_PATH
    ours = _OURS[bench](feed)
    asked: dict[str, Sequence[str | Path]] = {
        "json.load": [sys.executable, "-c", _LOAD, products],
        _START: [*_COMMAND, bench if bench == LINT else "validate-images", "--help"],
        **ours,
    }
    if SSTREAM_QUERY.exists():
        asked["sstream-query"] = [SSTREAM_QUERY, "--no-verify", "--json", index]
    runs: dict[str, list[dict[str, float]]] = {what: [] for what in asked}
    for _ in range(plan.rounds):
        for what, words in asked.items():
            runs[what].append(watched(words, good=(0, _FOUND_NOTHING) if what in ours else (0,)))
    times: dict[str, Figure] = {}
    for unit, kind in (("s", "processor time"), ("MiB", "memory")):
        beside: Figure | None = None
        for what, spent in runs.items():
            figure = results.add(
                bench, f"{bench}, {kind}: {what}, {end}", unit, [each[unit] for each in spent], beside=beside
            )
            beside = beside or figure
            if unit == "s":
                times[what] = figure
            elif what in ours:
                results.aim(bench, f"{what}, {end}", figure.median, "under", _MOST_MIB, "MiB")
    return times


measure_lint = partial(_measure, LINT)
measure_validate = partial(_measure, VALIDATE)
