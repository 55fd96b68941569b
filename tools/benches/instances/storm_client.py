"""Guests that boot at once.

``python -m tools.benches.instances.storm_client HOST PORT CONNECTIONS FILE`` crawls for each.

FILE says ``{"guests": [ADDRESS, …], "paths": [PATH, …]}``. Each connection is one guest after the other, which asks for
all paths in turn; the address of the guest stands in X-Forwarded-For. It prints
``{"requests_per_s": …, "p99_ms": …}``.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import uvloop
from tools.benches.failure import BenchFailed

_PATIENCE_S = 300
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """Asks for what is left of all, one after the other."""

    def __init__(self, requests: Iterator[bytes], took: list[float], ended: asyncio.Future[None]) -> None:
        self._requests, self._took, self._ended = requests, took, ended
        self._received = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if not self._received.startswith(b"HTTP/1.1 200") or length is None:
            self._end(BenchFailed(f"not a success: {self._received[:300]!r}"))
            return
        if len(self._received) >= end + 4 + int(length[1]):
            self._took.append(time.perf_counter() - self._asked)
            self._received = b""
            self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end(BenchFailed("the server closed a connection"))

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end(None)
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(request)

    def _end(self, error: BenchFailed | None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)


async def storm(host: str, port: int, connections: int, crawls: list[list[bytes]]) -> tuple[float, float]:
    """Return how many requests were answered in a second, and below how many milliseconds 99 of 100 were."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    waiting = iter(crawls)

    def of_one() -> Iterator[bytes]:
        for crawl in waiting:  # shared: who is done takes the next guest
            yield from crawl

    begun = time.perf_counter()
    ends = []
    for _ in range(min(connections, len(crawls))):
        ended: asyncio.Future[None] = loop.create_future()
        ends.append(ended)
        await loop.create_connection(partial(_Connection, of_one(), took, ended), host, port)
    await asyncio.wait_for(asyncio.gather(*ends), _PATIENCE_S)
    seconds = time.perf_counter() - begun
    took.sort()
    return len(took) / seconds, took[int(len(took) * 0.99)] * 1000


def main() -> int:
    host, port, connections, file = sys.argv[1:]
    said = msgspec.json.decode(Path(file).read_bytes())
    crawls = [
        [
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-Forwarded-For: {guest}\r\n"
            "User-Agent: Cloud-Init/22.4.2\r\n\r\n".encode("ascii")
            for path in said["paths"]
        ]
        for guest in said["guests"]
    ]
    try:
        rate, p99_ms = uvloop.run(storm(host, int(port), int(connections), crawls))
    except (BenchFailed, OSError, TimeoutError) as error:
        sys.stderr.write(f"{error or type(error).__name__}\n")
        return 1
    print(f'{{"requests_per_s": {rate}, "p99_ms": {p99_ms}}}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
