"""Where a body ends, and which of the bytes on the wire are its: those of a length, or those in chunks.

Both work in place: what is received stands where it is to stay, and is moved over what was between. A chunk of
64 KiB, as most clients send, then costs two lines of Python, where a parser that calls back makes and copies memory.

Chunks are taken as strictly as RFC 9112, section 7.1, allows: no line ends but CRLF, no space around a size. Whoever
stands before us and takes them otherwise would find another request behind them than we do.
"""

from __future__ import annotations

import re
from enum import Enum
from http import HTTPStatus

from headwater.server.edge.limits import (
    BODY_RECEIVE_SIZE,
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    HEAD_RECEIVE_SIZE,
    HEADERS_LIMIT,
)


class Refused(Exception):
    """What a client sent is not a request that can be answered; the connection ends with this."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Sized:
    """A body whose length was announced."""

    def __init__(self, length: int) -> None:
        self.reach = length  # how many bytes may be received at once: all that have not come

    @property
    def ended(self) -> bool:
        return not self.reach

    def undo(self, view: memoryview) -> tuple[int, int]:
        """Return how many bytes at the beginning of ``view`` are data, and where what follows begins."""
        count = min(self.reach, len(view))
        self.reach -= count
        return count, count


class _Next(Enum):
    """What stands where no data stands."""

    END_OF_DATA = "the line end behind a chunk"
    SIZE = "the size of the next chunk"
    TRAILER = "a trailer, or the empty line that ends them"


_LIMITS = {_Next.END_OF_DATA: 2, _Next.SIZE: CHUNK_LINE_LIMIT, _Next.TRAILER: HEAD_LIMIT}  # bytes of a line
_CHUNKS_AT_ONCE = 256  # each takes a microsecond, in which the loop does nothing else
_VISIBLE = rb"[\t\x20-\x7e\x80-\xff]*"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;" + _VISIBLE + rb")?\r\n\Z")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:" + _VISIBLE + rb"\r\n\Z")
# What nearly always stands between the data of two chunks.
_BETWEEN = re.compile(rb"\r\n([1-9A-Fa-f][0-9A-Fa-f]{0,15})\r\n")


class Chunked:
    """A body in chunks; their extensions say nothing that we would want."""

    def __init__(self) -> None:
        self.ended = False
        self.trailers: list[tuple[bytes, bytes]] = []  # the fields behind the last chunk
        self.reach = HEAD_RECEIVE_SIZE  # how many bytes may be received at once: so few chunks that nobody waits long
        self._left = 0  # of the data of the present chunk
        self._next = _Next.SIZE
        self._line = b""  # the beginning of a line whose end has not come
        self._trailers_size = 0

    def undo(self, view: memoryview) -> tuple[int, int]:
        """Move the data in ``view`` to its beginning; return how many bytes that is, and where what follows begins.

        Raises:
            Refused: These are no chunks.
        """
        filled = position = pieces = 0
        while position < len(view) and not self.ended:
            if self._left:
                count = min(self._left, len(view) - position)
                if filled != position:
                    view[filled : filled + count] = view[position : position + count]
                filled, position, self._left = filled + count, position + count, self._left - count
                pieces += 1
            elif self._next is _Next.END_OF_DATA and not self._line and (usual := _BETWEEN.match(view, position)):
                self._left, position = int(usual[1], 16), usual.end()
            else:
                position += self._take_line(view[position:])
        at_once = position * _CHUNKS_AT_ONCE // max(pieces, 1)
        self.reach = min(max(at_once, HEAD_RECEIVE_SIZE), BODY_RECEIVE_SIZE)
        return filled, position

    def _take_line(self, view: memoryview) -> int:
        """Return how many bytes at the beginning of ``view`` belong to the present line."""
        limit = (
            2 if self._next is _Next.END_OF_DATA else HEAD_LIMIT if self._next is _Next.TRAILER else CHUNK_LINE_LIMIT
        )
        more, newline, _ = bytes(view[: limit - len(self._line)]).partition(b"\n")
        self._line += more + newline
        if newline:
            line, self._line = self._line, b""
            self._read(line)
        elif len(self._line) == limit:
            raise _no_chunk()
        return len(more) + len(newline)

    def _read(self, line: bytes) -> None:
        if self._next is _Next.END_OF_DATA:
            if line != b"\r\n":
                raise _no_chunk()
            self._next = _Next.SIZE
        elif self._next is _Next.SIZE:
            size = _SIZE.match(line)
            if size is None:
                raise _no_chunk()
            self._left = int(size[1], 16)
            self._next = _Next.END_OF_DATA if self._left else _Next.TRAILER
        elif line == b"\r\n":
            self.ended = True
        else:
            self._trailers_size += len(line)
            if len(self.trailers) == HEADERS_LIMIT or self._trailers_size > HEAD_LIMIT:
                raise too_long()
            if not _TRAILER.match(line):
                raise Refused(
                    HTTPStatus.BAD_REQUEST, "What follows the last chunk is neither a trailer nor an empty line"
                )
            name, _, value = line.partition(b":")
            self.trailers.append((name.lower(), value.strip(b" \t\r\n")))


def too_long() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"A head has {HEADERS_LIMIT} fields and {HEAD_LIMIT} bytes at most",
    )


def _no_chunk() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "The body is not in chunks as HTTP/1.1 frames them")
