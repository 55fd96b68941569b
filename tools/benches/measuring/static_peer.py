"""The peer of instance metadata: small files of one directory over HTTP, read anew for each request.

It runs as processes of its own: ``python -m tools.benches.measuring.static_peer DIRECTORY PORT`` serves until its
standard input ends; several share a port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop
from tools.benches.measuring.connection import Address

_CHECKOUT = Path(__file__).resolve().parents[3]


@contextlib.contextmanager
def peer(directory: Path, processes: int) -> Iterator[Address]:
    """Start the peer, and stop it."""
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(socket.socket())  # so that nobody else takes the port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        address = kept.getsockname()
        command = [sys.executable, "-m", "tools.benches.measuring.static_peer", str(directory), str(address[1])]
        for _ in range(processes):
            process = stack.enter_context(
                subprocess.Popen(command, cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)
            process.stdout.readline()
        yield address


class _Connection(asyncio.Protocol):
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio

    def data_received(self, data: bytes) -> None:
        name = data.split(b" ", 2)[1].rsplit(b"/", 1)[1].decode("ascii")
        body = (self._directory / name).read_bytes()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def _serve(directory: Path, port: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    await loop.create_server(lambda: _Connection(directory), "127.0.0.1", port, reuse_port=True)

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
