"""Conditional requests for the live feed: what clients and mirrors ask that have it already."""

from __future__ import annotations

import http.client

from tools.benches.failure import BenchFailed
from tools.benches.measuring.connection import Address
from tools.benches.measuring.request_rate import Requests, requests_per_s
from tools.benches.measuring.server import serving
from tools.benches.plan import Plan
from tools.benches.results import Results

BENCH = "feed-requests"
_PATH = "/simplestreams/images/streams/v1/index.json"
_CODINGS = {"as it is": "identity", "compressed": "gzip"}
_TARGET = 5000


def measure(plan: Plan, results: Results) -> None:
    """Fill in how many are answered in a second.

    Raises:
        BenchFailed: The server does not say that nothing is new.
    """
    room = plan.room(BENCH)
    with serving(room / "data", plan.workers) as server:
        runs: dict[str, list[float]] = {form: [] for form in _CODINGS}
        asked = {
            form: {"Accept-Encoding": coding, "If-None-Match": _etag(server.images, coding)}
            for form, coding in _CODINGS.items()
        }
        for _ in range(plan.rounds):
            for form, rates in runs.items():
                requests = Requests([_PATH], headers=asked[form])
                rates.append(requests_per_s(server.images, requests, plan.seconds, plan.load_generator, room))
        for form, rates in runs.items():
            what = f"nothing new, of the index {form}"
            figure = results.add(BENCH, what, "requests/s", rates)
            results.aim(BENCH, what, figure.median, "at least", _TARGET, "requests/s")


def _etag(address: Address, coding: str) -> str:
    """Return the entity tag of a form, after making sure that it is told as such."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", _PATH, headers={"Accept-Encoding": coding})
    first = connection.getresponse()
    first.read()
    etag = first.headers["ETag"]
    connection.request("GET", _PATH, headers={"Accept-Encoding": coding, "If-None-Match": etag})
    second = connection.getresponse()
    second.read()
    connection.close()
    if second.status != 304:
        raise BenchFailed(f"{second.status} in place of 304 for {etag}, {coding}")
    return etag
