"""Questions to large feeds, beside ``json.load`` of the same bytes and beside ``sstream-query``.

Each is a process, whose processor time and largest memory count, its start too. What a question costs without the start
of the command line, which is the same for every feed, is measured in a process that imports no more than it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.benches.measuring.watched import SSTREAM_QUERY, watched
from tools.benches.plan import MIB, Plan
from tools.benches.results import Figure, Results
from tools.benches.streams import cloud_feed

BENCH = "query"
_FILTERS: Final = ("arch=amd64", "region=usea1-long", "root_store=ssd", "virt=hvm")
_TIMES, _MOST_MIB = 3, 400

_LOAD = "import json, sys; json.load(open(sys.argv[1]))"
_ASK = """
import sys
from pathlib import Path
from headwater.streams.query.query import query
from headwater.streams.trees.directory import DirectoryTree
for row in query(DirectoryTree(Path(sys.argv[1])), sys.argv[2:]): pass
"""


def measure(plan: Plan, results: Results) -> None:
    """Fill in what questions cost; ``sstream-query`` is left out where it is not installed.

    Raises:
        BenchFailed: A question was not answered.
    """
    for size in plan.feed_sizes:
        directory = plan.room(BENCH) if size == plan.feed_sizes[0] else plan.rooms / BENCH
        feed = directory / str(size)
        count = cloud_feed.write(feed, size)
        _measure(feed, f"of {count} items in {size / MIB:.0f} MiB", plan, results)


def _measure(feed: Path, end: str, plan: Plan, results: Results) -> None:
    index, products = feed / cloud_feed.INDEX_PATH, feed / cloud_feed.PRODUCTS_PATH
    signed, keyring = cloud_feed.signed(feed)
    command: list[str | Path] = [sys.executable, "-m", "headwater.cli.main", "streams", "query", "--json", feed]
    asked: dict[str, Sequence[str | Path]] = {
        "json.load": [sys.executable, "-c", _LOAD, products],
        "filtered": [sys.executable, "-c", _ASK, feed, *_FILTERS],
        "filtered, by the command": [*command, *_FILTERS],
        "all, by the command": command,
        "filtered, of the signed feed": [*command[:-1], signed, "--keyring", keyring, *_FILTERS],
        "all, of the signed feed": [*command[:-1], signed, "--keyring", keyring],
    }
    if SSTREAM_QUERY.exists():
        theirs: list[str | Path] = [SSTREAM_QUERY, "--no-verify", "--json", index]
        asked |= {"filtered, by sstream-query": [*theirs, *_FILTERS], "all, by sstream-query": theirs}
    runs: dict[str, list[dict[str, float]]] = {what: [] for what in asked}
    for _ in range(plan.rounds):
        for what, words in asked.items():
            runs[what].append(watched(words))
    for unit in ("s", "MiB"):
        beside: Figure | None = None
        figures: dict[str, Figure] = {}
        kind = "processor time" if unit == "s" else "memory"
        for what, spent in runs.items():
            name = f"{kind}: {what}, {end}"
            figures[what] = results.add(BENCH, name, unit, [each[unit] for each in spent], beside=beside)
            beside = beside or figures[what]
        results.aim(BENCH, f"filtered, {kind}, {end}", figures["filtered"].ratio, "under", _TIMES, "of json.load")
        if unit == "MiB":
            for what in ("all, by the command", "all, of the signed feed"):
                results.aim(BENCH, f"{what}, {end}", figures[what].median, "under", _MOST_MIB, "MiB")
