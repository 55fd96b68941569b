"""The peer of a download: a loop around ``sendfile`` that knows one file and nothing else of HTTP.

It runs as a process of its own, as Headwater does: ``python -m tools.benches.measuring.sendfile_peer FILE`` prints
its port and serves until its standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tools.benches.measuring.connection import Address

_AT_ONCE = 1 << 30
_CHECKOUT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def peer(file: Path) -> Iterator[Address]:
    """Start the peer for ``file``, and stop it."""
    command = [sys.executable, "-m", "tools.benches.measuring.sendfile_peer", str(file)]
    with subprocess.Popen(command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.stdin.close()


def _serve(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener, descriptor), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket, descriptor: int) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, descriptor), daemon=True).start()


def _answer(connection: socket.socket, descriptor: int) -> None:
    with connection, contextlib.suppress(OSError):
        while request := connection.recv(65536):
            span = re.search(rb"\r\nRange: bytes=([0-9]+)-([0-9]+)\r\n", request)
            offset, stop = (int(span[1]), int(span[2]) + 1) if span else (0, os.fstat(descriptor).st_size)
            status = b"206 Partial Content" if span else b"200 OK"
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, stop - offset))
            while offset < stop:
                offset += os.sendfile(connection.fileno(), descriptor, offset, min(_AT_ONCE, stop - offset))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
