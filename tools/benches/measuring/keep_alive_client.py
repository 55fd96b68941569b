"""A client that asks on many connections at once, for where ``wrk`` is not installed.

``python -m tools.benches.measuring.keep_alive_client HOST PORT CONNECTIONS SECONDS FILE [HEADER…]`` sends the requests
in FILE (see ``request_rate.Requests``) in turn, and prints ``{"requests_per_s": …}``. It is Python, so it takes more of
the machine than ``wrk`` does and leaves less to the server.
"""

from __future__ import annotations

import itertools
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.benches.failure import BenchFailed

_PATIENCE_S = 30
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.I)


@dataclass(slots=True)
class _Exchange:
    """One connection with a request on its way."""

    connection: socket.socket
    received: bytes = b""

    def ask(self, request: bytes) -> None:
        self.received = b""
        self.connection.sendall(request)

    def take(self) -> bool:
        """Receive what is there; return whether the answer is complete.

        Raises:
            BenchFailed: It is no success.
        """
        piece = self.connection.recv(262144)
        self.received += piece
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            if not piece:
                raise BenchFailed("the server closed a connection")
            return False
        if self.received.startswith(b"HTTP/1.1 304 "):
            return True
        length = _LENGTH.search(self.received, 0, end + 2)
        if not self.received.startswith(b"HTTP/1.1 2") or length is None:
            raise BenchFailed(f"not a success: {self.received[:300]!r}")
        complete = len(self.received) >= end + 4 + int(length[1])
        if not piece and not complete:
            raise BenchFailed("the server closed a connection within an answer")
        return complete


def run(host: str, port: int, connections: int, seconds: float, lines: list[str], headers: list[str]) -> float:
    """Return how many requests were answered in a second."""
    requests = _requests(lines, [f"Host: {host}:{port}", *headers])
    with selectors.DefaultSelector() as selector:
        exchanges = [_Exchange(socket.create_connection((host, port), _PATIENCE_S)) for _ in range(connections)]
        try:
            for exchange in exchanges:
                selector.register(exchange.connection, selectors.EVENT_READ, exchange)
            started = time.perf_counter()
            answered = sum(_answers(selector, exchanges, requests, started + seconds))
            return answered / (time.perf_counter() - started)
        finally:
            for exchange in exchanges:
                exchange.connection.close()


def _answers(
    selector: selectors.BaseSelector, exchanges: list[_Exchange], requests: Iterator[bytes], deadline: float
) -> Iterator[int]:
    """Ask until the deadline; yield how many answers each look at the connections completed."""
    for exchange in exchanges:
        exchange.ask(next(requests))
    while time.perf_counter() < deadline:
        ready = selector.select(_PATIENCE_S)
        if not ready:
            raise BenchFailed(f"no answer for {_PATIENCE_S} s")
        complete = [key.data for key, _ in ready if key.data.take()]
        for exchange in complete:
            exchange.ask(next(requests))
        yield len(complete)


def _requests(lines: list[str], headers: list[str]) -> Iterator[bytes]:
    """Yield the requests of ``lines`` over and over, each "@" of a body as another number."""
    always = "".join(f"{header}\r\n" for header in headers)
    for number, line in enumerate(itertools.cycle(lines)):
        method, path, media_type, body = line.split("\t")
        body = body.replace("@", str(number))
        kind = f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n" if body else ""
        yield f"{method} {path} HTTP/1.1\r\n{always}{kind}\r\n{body}".encode("ascii")


def main() -> int:
    host, port, connections, seconds, file, *headers = sys.argv[1:]
    lines = Path(file).read_text(encoding="ascii").splitlines()
    try:
        rate = run(host, int(port), int(connections), float(seconds), lines, headers)
    except (BenchFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f'{{"requests_per_s": {rate}}}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
