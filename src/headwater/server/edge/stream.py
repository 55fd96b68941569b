"""One socket, read and written without waiting: what cannot be done now is done when the kernel says so.

The event loop is asked only after the kernel has refused, so that a small exchange is two system calls.
Nothing is kept here: ``send`` returns when the kernel has everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from pathlib import Path

from headwater.server.edge.limits import (
    FILE_BURST,
    LINGER_IDLE_S,
    LINGER_S,
    RECEIVE_SIZE,
    TCP_ALIVE_EVERY_S,
    TCP_ALIVE_IDLE_S,
    TCP_ALIVE_TRIES,
    WRITE_STALL_S,
)
from headwater.threads import Pool

# What is received stands here until it is parsed, at once: one for all connections of the process.
_scratch = memoryview(bytearray(RECEIVE_SIZE))
_MORE = getattr(socket, "MSG_MORE", 0)


class FileTooShort(Exception):
    """A file ended before what was announced of it; the answer is broken off."""

    def __init__(self, path: Path, missing: int) -> None:
        super().__init__(f"{path} is {missing} bytes shorter than the answer that carries it")


class Stream:
    """The bytes of one connection. One reads and one writes at a time."""

    __slots__ = ("_fd", "_loop", "_read_waiter", "_reads", "_socket", "_write_waiter")

    def __init__(self, connected: socket.socket) -> None:
        """Take a socket that was accepted, and does not block."""
        self._socket = connected
        self._fd = connected.fileno()
        self._loop = asyncio.get_running_loop()
        self._read_waiter: asyncio.Future[None] | None = None
        self._write_waiter: asyncio.Future[None] | None = None
        self._reads = False
        keep_alive(connected)

    async def receive(self, timeout_s: float) -> memoryview:
        """Return what has arrived, valid until the next await; nothing is the end.

        Raises:
            TimeoutError: Nothing came in time, or ``interrupt`` was called.
            ConnectionError: The connection is gone.
        """
        while True:
            try:
                return _scratch[: self._socket.recv_into(_scratch)]
            except BlockingIOError:
                await self._readable(timeout_s)

    async def send(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Return when the kernel has ``data``.

        Args:
            more: A file follows at once; the first bytes may wait for it.

        Raises:
            TimeoutError: The client has read nothing for long.
            ConnectionError: The connection is gone.
        """
        left = memoryview(data)
        flags = _MORE if more else 0
        while left:
            try:
                left = left[self._socket.send(left, flags) :]
            except BlockingIOError:
                await self._writable()

    async def send_file(self, file: int, path: Path, offset: int, count: int, pool: Pool) -> None:
        """Return when the kernel has ``count`` bytes of the open ``file`` from ``offset`` on.

        Threads of ``pool`` send, as a disk may keep them waiting; a slow client holds none.

        Raises:
            FileTooShort: It has fewer; ``path`` names it there.
            TimeoutError, ConnectionError: As for ``send``.
        """
        while count:
            burst = asyncio.ensure_future(pool.run(lambda: self._send_burst(file, offset, count)))  # noqa: B023
            try:
                sent, full = await asyncio.shield(burst)
            except asyncio.CancelledError:
                await asyncio.wait([burst])  # it uses the descriptors, which are closed next
                raise
            offset, count = offset + sent, count - sent
            if full:
                await self._writable()
            elif not sent:
                raise FileTooShort(path, count)

    def _send_burst(self, file: int, offset: int, count: int) -> tuple[int, bool]:
        """Return how much was sent, and whether the client has to read before more can be."""
        sent, wanted = 0, min(count, FILE_BURST)
        while sent < wanted:
            try:
                one = os.sendfile(self._fd, file, offset + sent, wanted - sent)
            except BlockingIOError:
                return sent, True
            if one == 0:
                return sent, False
            sent += one
        return sent, False

    async def linger(self) -> None:
        """Say that nothing more comes, and drop what does, so that the client is not reset before it has read that."""
        until = self._loop.time() + LINGER_S
        with contextlib.suppress(OSError):  # TimeoutError is one
            self._socket.shutdown(socket.SHUT_WR)
            while (left := until - self._loop.time()) > 0:
                if not await self.receive(min(left, LINGER_IDLE_S)):
                    return
                await asyncio.sleep(0)  # a fast sender is not alone

    def interrupt(self) -> None:
        """Let what waits for bytes wait no longer."""
        _wake(self._read_waiter, TimeoutError())

    def close(self) -> None:
        """End the connection; once is enough."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._socket.close()

    def abort(self) -> None:
        """End the connection with a reset: what was sent is not all."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    async def _readable(self, timeout_s: float) -> None:
        waiter = self._read_waiter = self._loop.create_future()
        if not self._reads:
            self._reads = True
            self._loop.add_reader(self._fd, self._on_readable)
        await self._wait(waiter, timeout_s)

    def _on_readable(self) -> None:
        if self._read_waiter is None or self._read_waiter.done():
            # Nobody wants it yet. Most requests are followed by the next one only after their answer.
            self._reads = False
            self._loop.remove_reader(self._fd)
        else:
            self._read_waiter.set_result(None)

    async def _writable(self) -> None:
        waiter = self._write_waiter = self._loop.create_future()
        self._loop.add_writer(self._fd, _wake, waiter)
        try:
            await self._wait(waiter, WRITE_STALL_S)
        finally:
            self._loop.remove_writer(self._fd)

    async def _wait(self, waiter: asyncio.Future[None], timeout_s: float) -> None:
        timer = self._loop.call_later(timeout_s, _wake, waiter, TimeoutError())
        try:
            await waiter
        finally:
            timer.cancel()


def keep_alive(connected: socket.socket) -> None:
    """Let the kernel notice a client that is gone, and send small answers at once."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", TCP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", TCP_ALIVE_EVERY_S),
        ("TCP_KEEPCNT", TCP_ALIVE_TRIES),
    ):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _wake(waiter: asyncio.Future[None] | None, error: BaseException | None = None) -> None:
    if waiter is None or waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)
