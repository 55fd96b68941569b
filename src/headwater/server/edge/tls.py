"""TLS between a connection's stream and its transport: what the stream writes is encrypted, what comes is decrypted.

The loop's own TLS ends a connection as soon as the client says that it sends no more, so that a client which says so
with its request gets no answer; and it hides what the kernel has not taken yet, which tells a slow reader from one that
is gone. Here both sides end apart, as on a plain connection, and the stream sees the same flow of bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import cast

from headwater.server.edge.limits import BODY_RECEIVE_SIZE

# What is received stands here until it is decrypted, at once: one for all connections of the process.
_scratch = memoryview(bytearray(BODY_RECEIVE_SIZE >> 2))

_FLUSHED = 64 << 10  # bytes: OpenSSL keeps for the life of a connection the room that its output once took


class Tls(asyncio.Transport, asyncio.BufferedProtocol):
    """The transport of ``upper``, and the protocol of the plain transport below."""

    def __init__(self, context: ssl.SSLContext, upper: asyncio.BufferedProtocol) -> None:
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._sent, server_side=True)
        super().__init__({"ssl_object": self._tls})
        self._upper = upper
        self._loop = asyncio.get_running_loop()
        self._below: asyncio.Transport | None = None
        self._agreed: asyncio.Future[None] = self._loop.create_future()
        self._reads = True  # the stream wants what comes
        self._has_end = False  # the client sends no more ...
        self._ended = False  # ... and the stream knows
        self._said_end = False  # we send no more

    async def handshake(self, timeout_s: float) -> None:
        """Return when both sides have agreed.

        Raises:
            OSError: They do not (``ssl.SSLError``), or not in time, or the client is gone.
        """
        try:
            await asyncio.wait_for(self._agreed, timeout_s)
        except (TimeoutError, asyncio.CancelledError):
            self.abort()
            raise

    # What the transport below says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._below = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the class

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _scratch

    def buffer_updated(self, nbytes: int) -> None:
        if self._said_end:
            # Nobody reads it any more; that something comes at all is what the stream wants to know.
            self._upper.buffer_updated(min(nbytes, len(memoryview(self._upper.get_buffer(nbytes)))))
            return
        self._received.write(_scratch[:nbytes])
        self._go_on()

    def eof_received(self) -> bool:
        # OpenSSL is not told: it would answer an end that nobody has announced with an alert, and encrypt no more. HTTP
        # says where a body ends, so half of one does not pass for the whole.
        self._has_end = True
        self._go_on()
        return True  # answers can still be sent

    def pause_writing(self) -> None:
        self._upper.pause_writing()

    def resume_writing(self) -> None:
        self._upper.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._below = None
        if self._agreed.done():
            self._upper.connection_lost(error)
        else:
            self._agreed.set_exception(error or ConnectionResetError("the client has ended the connection"))

    def _go_on(self) -> None:
        if self._said_end:
            if self._has_end:
                self._end()
            return
        try:
            if not self._agreed.done():
                self._tls.do_handshake()
                self._upper.connection_made(self)
                self._agreed.set_result(None)
            self._deliver()
        except ssl.SSLWantReadError:
            if self._has_end and not self._agreed.done():
                self._fail(ConnectionResetError("the client has ended the connection"))
                return
            if self._has_end:
                self._end()
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._flush()

    def _fail(self, error: OSError) -> None:
        if not self._agreed.done():
            self._agreed.set_exception(error)
        self._flush()  # the alert that tells the client why
        if self._below is not None:
            self._below.close()

    def _deliver(self) -> None:
        """Decrypt for the stream as long as it reads.

        Raises:
            SSLError: What came is not what the other side has encrypted, or (``SSLWantReadError``) not all of it yet.
        """
        while self._reads and not self._ended and self._below is not None:
            into = memoryview(self._upper.get_buffer(-1))
            count = 0
            try:
                while count < len(into) and (one := self._read(into[count:])):
                    count += one
            except ssl.SSLWantReadError:
                if not count:
                    raise
            if count:
                self._upper.buffer_updated(count)
            else:
                self._end()

    def _read(self, into: memoryview) -> int:
        return cast("int", self._tls.read(len(into), into))

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._upper.eof_received()

    # What the stream wants.

    def pause_reading(self) -> None:
        self._reads = False
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        self._reads = True
        if self._below is not None:
            self._below.resume_reading()
            self._loop.call_soon(self._go_on)  # what was received with what the stream had then

    def write(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
            if self._sent.pending >= _FLUSHED:
                self._flush()
        self._flush()

    def write_eof(self) -> None:
        self._say_end()
        if self._below is not None:
            self._below.write_eof()

    def _say_end(self) -> None:
        if not self._said_end and self._agreed.done():
            self._said_end = True
            with contextlib.suppress(ssl.SSLError):  # the client has not said its own end: it need not
                self._tls.unwrap()
            self._flush()

    def _flush(self) -> None:
        if self._below is not None and self._sent.pending:
            self._below.write(self._sent.read())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._below is not None:
            self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size() if self._below is not None else 0

    def is_closing(self) -> bool:
        return self._below is None or self._below.is_closing()

    def close(self) -> None:
        self._say_end()
        if self._below is not None:
            self._below.close()

    def abort(self) -> None:
        if self._below is not None:
            self._below.abort()
