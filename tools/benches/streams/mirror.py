"""Feeds mirrored: large documents, and many small files over loopback, beside ``sstream-mirror``.

Documents are measured as questions are (``query.py``). Files come from a web server in a process of its own, into a
directory; ``sstream-mirror`` gets a tenth of them, as its time grows with their square.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.benches.failure import BenchFailed
from tools.benches.measuring.watched import watched
from tools.benches.plan import MIB, Plan
from tools.benches.results import Results
from tools.benches.streams import cloud_feed

BENCH: Final = "mirror"
_MOST_MIB, _FILES_A_S = 400, 500
_GROWTH = 1.5  # what a file may cost more when there are four times as many
_SSTREAM_MIRROR = Path(__file__).resolve().parents[3] / ".venv-simplestreams" / "bin" / "sstream-mirror"
_INDEX, _PRODUCTS = "streams/v1/index.json", "streams/v1/images.json"
_IN_A_VERSION = 10

_LOAD = "import json, sys; json.load(open(sys.argv[1]))"
_SERVE = """
import http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", 1 << 16
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def measure(plan: Plan, results: Results) -> None:
    """Fill in what mirrors cost; ``sstream-mirror`` is left out where it is not installed.

    Raises:
        BenchFailed: A feed was not mirrored.
    """
    room = plan.room(BENCH)
    for size in plan.feed_sizes:
        feed = room / str(size)
        count = cloud_feed.write(feed, size)
        _documents(feed, f"of {count} items in {size / MIB:.0f} MiB", plan, results)
    _files(room, plan, results)


def _documents(feed: Path, end: str, plan: Plan, results: Results) -> None:
    target = feed / "target"
    signed, keyring = cloud_feed.signed(feed)
    asked: dict[str, Sequence[str | Path]] = {
        "json.load": [sys.executable, "-c", _LOAD, feed / cloud_feed.PRODUCTS_PATH],
        "mirror": [*_command(feed, target)],
        "mirror of one release": [*_command(feed, target), "release=r24.04"],
        "mirror of the signed feed": [*_command(signed, target), "--keyring", keyring],
    }
    if _SSTREAM_MIRROR.exists():
        theirs: list[str | Path] = [_SSTREAM_MIRROR, "--no-verify", "--no-item-download", "--path", _INDEX]
        asked["sstream-mirror"] = [*theirs, f"{feed}/", target]
    runs: dict[str, list[dict[str, float]]] = {what: [] for what in asked}
    for _ in range(plan.rounds):
        for what, words in asked.items():
            runs[what].append(watched(words))
            shutil.rmtree(target, ignore_errors=True)
    for unit, kind in (("s", "processor time"), ("MiB", "memory")):
        beside = None
        for what, spent in runs.items():
            figure = results.add(BENCH, f"{kind}: {what}, {end}", unit, [each[unit] for each in spent], beside=beside)
            beside = beside or figure
            if unit == "MiB" and what in ("mirror", "mirror of the signed feed"):
                results.aim(BENCH, f"memory: {what}, {end}", figure.median, "under", _MOST_MIB, "MiB")


def _files(room: Path, plan: Plan, results: Results) -> None:
    count = plan.mirrored_files
    few, many = _feed(room / "few", count // 4), _feed(room / "many", count)
    rates: dict[int, list[float]] = {count // 4: [], count: []}
    theirs: list[float] = []
    for _ in range(plan.rounds):
        for number, feed in ((count // 4, few), (count, many)):
            rates[number].append(number / _seconds(feed, room / "target"))
        if _SSTREAM_MIRROR.exists():
            tenth = room / "tenth"
            if not tenth.exists():
                _feed(tenth, count // 10)
            theirs.append(count // 10 / _seconds(tenth, room / "target", theirs=True))
    figures = {
        number: results.add(BENCH, f"{number} files over loopback", "files/s", each) for number, each in rates.items()
    }
    if theirs:
        name = f"{count // 10} files over loopback, by sstream-mirror"
        results.add(BENCH, name, "files/s", theirs, beside=figures[count])
    growth = figures[count // 4].median / figures[count].median
    results.aim(BENCH, f"{count} files over loopback", figures[count].median, "at least", _FILES_A_S, "files/s")
    results.aim(BENCH, "a file among four times as many", growth, "under", _GROWTH, "times as long")


def _feed(directory: Path, count: int) -> Path:
    """Write a feed of ``count`` small files, of which ten are a version."""
    versions: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for number in range(count):
        version, content = f"2026{number // _IN_A_VERSION:06d}", f"file {number}\n".encode() * 20
        path = f"images/{version}/{number}.img"
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
        item = {"ftype": "img", "path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        versions.setdefault(version, {"items": {}})["items"][f"{number}.img"] = item
    document = {"content_id": "images", "format": "products:1.0", "products": {"p": {"versions": versions}}}
    entry = {"path": _PRODUCTS, "format": "products:1.0", "products": ["p"]}
    (directory / "streams" / "v1").mkdir(parents=True)
    (directory / _PRODUCTS).write_text(json.dumps(document))
    (directory / _INDEX).write_text(json.dumps({"format": "index:1.0", "index": {"images": entry}}))
    return directory


def _seconds(feed: Path, target: Path, *, theirs: bool = False) -> float:
    with _served(feed) as url:
        began = time.perf_counter()
        if theirs:
            watched([_SSTREAM_MIRROR, "--no-verify", "--path", _INDEX, url, target])
        else:
            watched(_command(url, target))
        taken = time.perf_counter() - began
    shutil.rmtree(target)
    return taken


def _command(source: str | Path, target: Path) -> list[str | Path]:
    return [sys.executable, "-m", "headwater.cli.main", "streams", "mirror", source, target]


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            if not port:
                raise BenchFailed("the web server for mirrors did not start")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
