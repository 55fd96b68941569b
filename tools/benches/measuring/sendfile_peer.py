"""The peer of a download: a loop around ``sendfile`` that knows one file and nothing else of HTTP.

``python -m tools.benches.measuring.sendfile_peer FILE`` is its process.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tools.benches.measuring.connection import Address
from tools.benches.measuring.peers import serve, started

_AT_ONCE = 1 << 30


def peer(file: Path) -> AbstractContextManager[Address]:
    """Start the peer for ``file``, and stop it."""
    return started("sendfile_peer", file)


def _answer(descriptor: int, connection: socket.socket, _number: int) -> None:
    with connection, contextlib.suppress(OSError):
        while request := connection.recv(65536):
            span = re.search(rb"\r\nRange: bytes=([0-9]+)-([0-9]+)\r\n", request)
            offset, stop = (int(span[1]), int(span[2]) + 1) if span else (0, os.fstat(descriptor).st_size)
            status = b"206 Partial Content" if span else b"200 OK"
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, stop - offset))
            while offset < stop:
                offset += os.sendfile(connection.fileno(), descriptor, offset, min(_AT_ONCE, stop - offset))


if __name__ == "__main__":
    serve(partial(_answer, os.open(sys.argv[1], os.O_RDONLY)))
