"""One socket: what comes is parsed at once, and read only while somebody waits for it.

Small reads and writes go through the event loop's transport, which does not let go of the interpreter for
them: a loop that does waits for each of the threads behind it before it goes on. Files go past it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import termios
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from headwater.http.filesend import FileFailed
from headwater.server.edge.limits import (
    BODY_RECEIVE_SIZE,
    FILE_BURST,
    FILE_PIECE,
    HEAD_RECEIVE_SIZE,
    LINGER_IDLE_S,
    LINGER_S,
    TCP_ALIVE_EVERY_S,
    TCP_ALIVE_IDLE_S,
    TCP_ALIVE_TRIES,
    WRITE_BUFFER,
    WRITE_STALL_S,
)
from headwater.threads import Pool

T = TypeVar("T")

# What is received stands here until it is parsed, at once: one for all connections of the process.
_scratch = memoryview(bytearray(BODY_RECEIVE_SIZE))


class Stream(asyncio.BufferedProtocol):
    """The bytes of one connection. One reads and one writes at a time."""

    def __init__(self, connected: socket.socket, sink: Callable[[memoryview], None]) -> None:
        """Take a socket that was accepted, and who gets what it brings, to be used at once."""
        self._socket = connected
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._read_waiter: asyncio.Future[bool] | None = None
        self._write_waiter: asyncio.Future[bool] | None = None
        self._reads = True
        self._size = HEAD_RECEIVE_SIZE
        self._target: memoryview | None = None  # where the next bytes go, past the sink
        self._count = 0  # of bytes that went there
        self._ended = False  # the client sends no more
        self._full = False  # the client has to read before more is sent
        self.sent_of_file = 0  # bytes of the file that is sent, or was sent last
        self.is_encrypted = False  # so that nothing goes past the transport

    # What the loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the class
        self._transport.set_write_buffer_limits(WRITE_BUFFER)
        self.is_encrypted = transport.get_extra_info("ssl_object") is not None

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _scratch[: self._size] if self._target is None else self._target

    def buffer_updated(self, nbytes: int) -> None:
        if self._target is not None:
            self._target, self._count = None, nbytes
            self._stop_reading()  # at once: what comes next is for the next target
            _wake(self._read_waiter, True)
            return
        self._sink(_scratch[:nbytes])
        if not _wake(self._read_waiter, True):
            # Nobody wants it yet. Most requests are followed by the next one only after their answer.
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reads and self._transport is not None:
            self._reads = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._read_waiter, False)
        return True  # answers can still be sent

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        _wake(self._write_waiter, True)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        for waiter in (self._read_waiter, self._write_waiter):
            _wake(waiter, _gone())

    # What the exchange wants.

    async def receive(self, timeout_s: float, size: int = HEAD_RECEIVE_SIZE) -> bool:
        """Return when more has arrived and was parsed, and whether there was any: ``False`` is the end.

        Args:
            timeout_s: How long it may take.
            size: How much of it to read at once.

        Raises:
            TimeoutError: Nothing came in time, or ``interrupt`` was called.
            ConnectionError: The connection is gone.
        """
        if self._ended:
            return False
        transport = self._living()
        self._size = size
        if not self._reads:
            self._reads = True
            transport.resume_reading()
        self._read_waiter = self._loop.create_future()
        return await self._wait(self._read_waiter, timeout_s)

    async def receive_into(self, view: memoryview, timeout_s: float) -> int:
        """Return how many bytes have arrived in ``view``, past the sink; 0 is the end.

        Raises:
            TimeoutError, ConnectionError: As for ``receive``.
        """
        self._stop_reading()
        self._target, self._count = view, 0
        try:
            return self._count if await self.receive(timeout_s) else 0
        finally:
            self._target = None
            self._stop_reading()

    async def send(self, data: bytes) -> None:
        """Send ``data``; return when the client, or its system, has taken all but a little.

        Raises:
            TimeoutError: The client has read nothing for long.
            ConnectionError: The connection is gone.
        """
        self._living().write(data)
        await self._taken()

    async def _taken(self) -> None:
        while self._full:
            self._write_waiter = self._loop.create_future()
            await self._unless_stalled(self._write_waiter)
        self._living()

    async def _unless_stalled(self, waiter: asyncio.Future[bool]) -> None:
        """Return when ``waiter`` has its word, however long that is, as long as the client takes anything.

        The kernel asks for more only when a third of what it keeps is gone, which is hours for a very slow client.
        """
        left = self._left()
        while not (await asyncio.wait([waiter], timeout=WRITE_STALL_S))[0]:
            before, left = left, self._left()
            if left >= before:
                raise TimeoutError
        waiter.result()

    def _left(self) -> int:
        """Return how many bytes the client has not acknowledged."""
        waits_here = self._living().get_write_buffer_size()
        (waits_there,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))
        return waits_here + int(waits_there)

    def _living(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise _gone()
        return self._transport

    async def send_file(self, file: int, path: Path, offset: int, count: int, pool: Pool) -> None:
        """Return when the kernel has ``count`` bytes of the open ``file`` from ``offset`` on.

        Threads of ``pool`` send, as a disk may keep them waiting; a slow client holds none.

        Raises:
            FileFailed: It has fewer, or cannot be read; ``path`` names it there.
            TimeoutError, ConnectionError: As for ``send``.
        """
        self.sent_of_file = 0
        if self.is_encrypted:
            await self._send_pieces(file, path, offset, count, pool)
            return
        start = offset
        self._living().set_write_buffer_limits(0)
        await self._taken()
        # A descriptor of its own, as the loop keeps the other for the transport.
        out = os.dup(self._socket.fileno())
        try:
            while count:
                sent, wait = await self._burst(pool, out, file, offset, count)
                offset, count = offset + sent, count - sent
                self.sent_of_file += sent
                if isinstance(wait, OSError):
                    raise FileFailed(path, offset - start, wait) from wait
                if wait:
                    await self._room(out)
                elif not sent:
                    raise FileFailed(path, offset - start)
        finally:
            os.close(out)
            if self._transport is not None:
                self._transport.set_write_buffer_limits(WRITE_BUFFER)

    async def _send_pieces(self, file: int, path: Path, offset: int, count: int, pool: Pool) -> None:
        start = offset
        while count:
            try:
                piece = await _uncancelled(pool.run(partial(os.pread, file, min(count, FILE_PIECE), offset)))
            except OSError as error:
                raise FileFailed(path, offset - start, error) from error
            if not piece:
                raise FileFailed(path, offset - start)
            await self.send(piece)
            offset, count = offset + len(piece), count - len(piece)
            self.sent_of_file += len(piece)

    async def _burst(self, pool: Pool, out: int, file: int, offset: int, count: int) -> tuple[int, bool | OSError]:
        return await _uncancelled(pool.run(partial(_send_burst, out, file, offset, count)))

    async def _room(self, out: int) -> None:
        self._write_waiter = self._loop.create_future()
        self._loop.add_writer(out, _wake, self._write_waiter, True)
        try:
            await self._unless_stalled(self._write_waiter)
        finally:
            self._loop.remove_writer(out)

    def limit_hops(self, count: int) -> None:
        """Let what is sent from now on pass ``count`` routers at most."""
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, count)
        with contextlib.suppress(OSError):  # one of IPv6 alone; else the peer may come by IPv4 (::ffff:…)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, count)

    async def linger(self) -> None:
        """Say that nothing more comes, and drop what does, so that the client is not reset before it has read that."""
        self._sink = _drop
        until = self._loop.time() + LINGER_S
        with contextlib.suppress(OSError):  # TimeoutError is one
            self._living().write_eof()
            while (left := until - self._loop.time()) > 0:
                if not await self.receive(min(left, LINGER_IDLE_S), BODY_RECEIVE_SIZE):
                    return

    def interrupt(self) -> None:
        """Let what waits for bytes wait no longer."""
        _wake(self._read_waiter, TimeoutError())

    def close(self) -> None:
        """End the connection, once what was sent is taken."""
        if self._transport is not None:
            if self._transport.get_write_buffer_size():
                self._loop.call_later(LINGER_S, self._transport.abort)
            self._transport.close()

    def abort(self) -> None:
        """End the connection with a reset: what was sent is not all."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    async def _wait(self, waiter: asyncio.Future[bool], timeout_s: float) -> bool:
        timer = self._loop.call_later(timeout_s, _wake, waiter, TimeoutError())
        try:
            return await waiter
        finally:
            timer.cancel()


async def _uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` does; not before it has ended, as it uses descriptors that are closed next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _send_burst(out: int, file: int, offset: int, count: int) -> tuple[int, bool | OSError]:
    """Return how much was sent, and whether the client has to read before more can be, or what is wrong with the file.

    Raises:
        OSError: Something is wrong with the socket, and nothing was sent.
    """
    sent, wanted = 0, min(count, FILE_BURST)
    while sent < wanted:
        try:
            one = os.sendfile(out, file, offset + sent, wanted - sent)
        except BlockingIOError:
            return sent, True
        except OSError:
            if (fault := _fault(file, offset + sent)) is not None:
                return sent, fault
            if not sent:
                raise
            return sent, False  # so that it is counted; the next burst finds the same
        if one == 0:
            break
        sent += one
    return sent, False


def _fault(file: int, offset: int) -> OSError | None:
    """Return what keeps a file from being read there: the system does not tell which end of a sending has failed."""
    try:
        os.pread(file, 1, offset)
    except OSError as error:
        return error
    return None


def set_options(connected: socket.socket) -> None:
    """Let the kernel notice a client that is gone, and send small answers at once; others than TCP need neither."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", TCP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", TCP_ALIVE_EVERY_S),
        ("TCP_KEEPCNT", TCP_ALIVE_TRIES),
    ):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _wake(waiter: asyncio.Future[bool] | None, word: bool | Exception) -> bool:
    """Return whether somebody waited."""
    if waiter is None or waiter.done():
        return False
    if isinstance(word, Exception):
        waiter.set_exception(word)
    else:
        waiter.set_result(word)
    return True


def _gone() -> ConnectionError:
    return ConnectionResetError("the client has ended the connection")


def _drop(_data: memoryview) -> None:
    pass
