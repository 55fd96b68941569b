"""One request and its answer, as ASGI sees them.

A body is complete when the parser has seen its end, never because the connection ended. An answer is complete
when all that it announced was sent; one that is not is broken off, so that nobody takes half for the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path

from starlette.types import Message

from headwater.http.filesend import FILESEND, FileFailed
from headwater.server.edge.framing import Refused
from headwater.server.edge.incoming import Incoming
from headwater.server.edge.limits import BODY_IDLE_S, DROP_LIMIT
from headwater.server.edge.parsing import Request
from headwater.server.edge.stream import Stream
from headwater.threads import Pool

SERVER = b"headwater"
# The messages that this server takes besides those of ASGI itself: the second is ours (``http/filesend.py``).
PATHSEND = "http.response.pathsend"
EXTENSIONS = (PATHSEND, FILESEND)

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_JOINED = 16 << 10  # up to here, one message of head and body is cheaper than two
_PHRASES = {
    104: b"Upload Resumption Supported",  # draft-ietf-httpbis-resumable-upload, section 5; not in Python's
    460: b"Checksum Mismatch",  # tus 1.0, extension checksum
    **{status.value: status.phrase.encode() for status in HTTPStatus},
}
_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_MAY_INFORM = range(102, 200)  # 100 is the server's to say, and 101 ends HTTP


class BadAnswer(Exception):
    """The application sent what is no answer; the log names where."""


class Exchange:
    """The receive and send of one request."""

    def __init__(self, request: Request, incoming: Incoming, stream: Stream, files: Pool) -> None:
        self._request = request
        self._incoming = incoming
        self._stream = stream
        self._files = files
        self._start: Message | None = None
        self._waits_for_our_word = request.expects_continue and request.length != 0
        self._received = 0
        self._chunked = False
        self._left: int | None = 0  # of the answer's body; None: nobody said
        self._body_sent = 0
        self.body_complete = incoming.takes_end()
        self._end_was_told = False
        self.broken = False  # the body will never be complete
        self.started = False  # something of the answer was sent
        self.complete = False  # all of it was
        self.keep_alive = request.keep_alive

    async def receive(self) -> Message:
        """Return more of the body, or that the client is gone."""
        if self.broken or self.complete:
            return {"type": "http.disconnect"}
        if self._end_was_told:
            # While an answer is made, the end of input is no news: many clients end their side with the request.
            await asyncio.get_running_loop().create_future()
        body = b""
        if not self.body_complete:
            try:
                body, self.body_complete = await self._more_of_the_body()
            except (OSError, EOFError, Refused):
                self.broken, self.keep_alive = True, False
                return {"type": "http.disconnect"}
        self._received += len(body)
        self._end_was_told = self.body_complete
        return {"type": "http.request", "body": body, "more_body": not self.body_complete}

    async def receive_into(self, view: memoryview) -> int | None:
        """Put more of the body into ``view``, straight from the socket, and return how many bytes that is.

        ``None``: ``receive`` has what is next, be it the end, what came with the head, or that the client is gone.
        """
        if self.broken or self.complete or self.body_complete or self._waits_for_our_word:
            return None
        count = 0
        try:
            while not count and not self._incoming.has_more:
                count = await self._incoming.body_into(view, BODY_IDLE_S)
        except (OSError, EOFError):
            self.broken, self.keep_alive = True, False
            return None
        self._received += count
        self.body_complete = self._incoming.takes_end()
        return count or None

    async def _more_of_the_body(self) -> tuple[bytes, bool]:
        if self._waits_for_our_word:
            self._waits_for_our_word = False
            if not self._incoming.has_more and not self.started:
                await self._stream.send(_GO_ON)
        return await self._incoming.body(BODY_IDLE_S)

    async def send(self, message: Message) -> None:
        """Send a part of the answer.

        Raises:
            BadAnswer: It does not fit what was sent before.
            FileFailed: The file could not be sent so far; other parts of the body may follow what was.
            OSError: The client is gone, or reads nothing.
        """
        kind = message["type"]
        if kind == "http.response.start":
            if self._start is not None:
                raise BadAnswer("a second http.response.start")
            self._start = message
        elif self._start is None or self.complete:
            raise BadAnswer(f"{kind} before http.response.start, or after the end")
        elif kind == "http.response.body":
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind in (PATHSEND, FILESEND):
            more = message.get("more_body", False)
            await self._send_file(Path(message["path"]), message.get("offset", 0), message.get("count"), more=more)
        else:
            raise BadAnswer(f"{kind} is not known here")

    async def inform(self, status: int, headers: Mapping[str, str]) -> None:
        """Send an interim answer; it takes nothing from the one that follows, nor from 100 (Continue).

        Raises:
            BadAnswer: It is none that an application may send, or too late.
        """
        if self._start is not None or status not in _MAY_INFORM:
            raise BadAnswer(f"{status} is no interim answer, or the answer has begun")
        lines = [_line(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        with contextlib.suppress(OSError):  # the client is gone, which who reads its body is told
            await self._stream.send(b"".join((_status_line(status), *lines, b"\r\n")))

    def body_sent(self) -> int:
        """Return how many bytes of the answer's body the network has taken; it may keep the last ones for a while."""
        return self._body_sent

    def limit_hops(self, count: int) -> None:
        """Let the answer pass ``count`` routers at most; no other one follows it on this connection."""
        self._stream.limit_hops(count)
        self.keep_alive = False

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        head = b"" if self.started else self._head(None if more else len(body))
        count = len(body)
        self._take_off(count)
        if self._has_no_body:
            count, body = 0, b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        self.started = True
        if head and len(body) > _JOINED:
            await self._stream.send(head)
            head = b""
        await self._stream.send(head + body if head else body)
        self._body_sent += count
        if not more:
            self._end()

    async def _send_file(self, path: Path, offset: int, count: int | None, *, more: bool) -> None:
        if self.started and self._chunked:
            raise BadAnswer("a file after another part of a body of unknown length")
        try:
            file = await self._files.run(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise FileFailed(path, 0, error) from error
        try:
            announced = os.fstat(file).st_size - offset if count is None else count
            head = b"" if self.started else self._head(None if more else announced)
            if self._chunked:
                raise BadAnswer("a part of a file in a body of unknown length")
            self._take_off(announced)
            self.started = True
            wanted = 0 if self._has_no_body else announced
            if head:
                await self._stream.send(head)
            try:
                await self._stream.send_file(file, path, offset, wanted, self._files)
            except FileFailed as failed:
                self._left = (self._left or 0) + wanted - failed.sent  # the rest may come otherwise
                raise
            finally:
                self._body_sent += self._stream.sent_of_file
        finally:
            os.close(file)
        if not more:
            self._end()

    def _take_off(self, count: int) -> None:
        if self._left is not None and not self._has_no_body:
            self._left -= count
            if self._left < 0:
                raise BadAnswer("more body than its Content-Length says")

    def _end(self) -> None:
        if self._left and not self._has_no_body:
            raise BadAnswer("less body than its Content-Length says")
        self.complete = True

    @property
    def _has_no_body(self) -> bool:
        return self._request.method == "HEAD" or (self._start is not None and self._start["status"] in _NO_BODY)

    def _head(self, length: int | None) -> bytes:
        """Return the head of the answer; ``length`` is that of the body, where it is known already."""
        assert self._start is not None
        status: int = self._start["status"]
        lines = [_status_line(status)]
        names = set()
        self._left = None
        for name, value in self._start.get("headers", ()):
            names.add(name)
            if name == b"content-length":
                self._left = int(value)
            elif name in (b"connection", b"transfer-encoding"):
                raise BadAnswer(f"{name.decode()} is the server's to say")
            lines.append(_line(name, value))
        if self._left is None and not self._has_no_body:
            if length is not None:
                self._left = length
                lines.append(b"content-length: %d\r\n" % length)
            elif self._request.version == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False  # the end of the connection is that of the body
        self.keep_alive = self.keep_alive and (self.body_complete or self._rest_is_small())
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        elif self._request.version == "1.0":
            lines.append(b"connection: keep-alive\r\n")
        if b"server" not in names:
            lines.append(b"server: " + SERVER + b"\r\n")
        lines.append(b"date: " + _date() + b"\r\n\r\n")
        return b"".join(lines)

    def _rest_is_small(self) -> bool:
        """Return whether the rest of a body that nobody wanted is dropped, for the sake of the connection."""
        if self._waits_for_our_word and not self._incoming.has_more:
            return False  # whether it comes at all is up to the client
        if self._incoming.has_end:
            return True
        return self._request.length is not None and self._request.length - self._received <= DROP_LIMIT


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b""))


def _line(name: bytes, value: bytes) -> bytes:
    line = b"%b: %b\r\n" % (name, value)
    if line.count(b"\n") != 1 or line.count(b"\r") != 1 or b"\0" in line:
        raise BadAnswer(f"the header {name!r} would end before its end")
    return line


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """Return the time as HTTP writes it, made once a second."""
    global _dated  # noqa: PLW0603 - a cache of one
    now = int(time.time())
    if now != _dated[0]:
        _dated = now, formatdate(now, usegmt=True).encode()
    return _dated[1]


def refusal(refused: Refused, request_id: str) -> bytes:
    """Return the whole answer to what is not a request; the log has more under ``request_id``."""
    body = f"{refused.reason}.\n".encode()
    lines: Iterable[bytes] = (
        b"HTTP/1.1 %d %b\r\n" % (refused.status, refused.status.phrase.encode()),
        b"content-type: text/plain; charset=utf-8\r\n",
        b"content-length: %d\r\n" % len(body),
        b"x-openstack-request-id: %b\r\n" % request_id.encode(),
        b"connection: close\r\nserver: " + SERVER + b"\r\ndate: " + _date() + b"\r\n\r\n",
        body,
    )
    return b"".join(lines)
