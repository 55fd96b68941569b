"""Bytes become requests: what llhttp finds in heads, and what RFC 9112 wants of it besides.

A parser keeps what it has found until it is asked for: a request, pieces of its body, the end of that body,
the next request. What is not HTTP becomes the last thing found, so that whole requests before it are answered.

llhttp is given heads and nothing else, each to its empty line and no further; bodies are framed by ``framing``.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

import httptools
from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade

from headwater.server.edge.framing import Chunked, Refused, Sized, too_long
from headwater.server.edge.limits import HEAD_LIMIT, HEADERS_LIMIT, TARGET_LIMIT

Headers = list[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
# Names and addresses as they are used. RFC 3986 allows more, such as quotes: nobody is called so, links would carry it.
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?\Z")
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_VERSIONS = ("1.1", "1.0")
_EMPTY_LINE = b"\r\n\r\n"  # and the end of the line before it


class Mark(Enum):
    """What is found between bytes."""

    END = "the body is complete"


@dataclass(slots=True)
class Request:
    """The head of a request."""

    method: str
    raw_path: bytes
    query: bytes
    version: str
    headers: Headers
    length: int | None  # of the body; None: in chunks, so nobody knows
    keep_alive: bool
    expects_continue: bool
    trailers: Headers = field(default_factory=list)  # of a body in chunks, once it has ended


Found = Request | bytes | Mark | Refused


class Parser:
    """The requests of one connection."""

    def __init__(self) -> None:
        self.found: deque[Found] = deque()
        self.body: Sized | Chunked | None = None  # of the last request, while it has not ended
        self._parser = httptools.HttpRequestParser(self)
        self._headed: Request | None = None  # whose head has just ended
        self._refused = False
        self._received = 0  # bytes of the present head
        self._last = b""  # of these, what may be the beginning of its empty line
        self._forget_head()

    @property
    def in_head(self) -> bool:
        """The last bytes were the beginning of a head."""
        return self._received > 0

    def feed(self, data: memoryview) -> None:
        """Take what was received, in memory that may be changed; ``found`` has more then, or a head has no end."""
        while data and not self._refused:
            if self.body is None:
                count = self._feed_head(data)
            else:
                filled, count = self._undo(self.body, data)
                if filled:
                    self.found.append(bytes(data[:filled]))
                self._end_body()
            data = data[count:]

    def undo(self, view: memoryview) -> int:
        """Take what was received of a body, past ``found``: move it to the beginning of ``view``; return its length.

        The end of the body, and what follows it, go to ``found``.
        """
        assert self.body is not None
        filled, end = self._undo(self.body, view)
        self._end_body()
        self.feed(memoryview(bytearray(view[end:])))
        return filled

    def _undo(self, body: Sized | Chunked, data: memoryview) -> tuple[int, int]:
        try:
            return body.undo(data)
        except Refused as refused:
            self._refuse(refused)
            return 0, len(data)

    def _end_body(self) -> None:
        if self.body is not None and self.body.ended:
            self.body = None
            self.found.append(Mark.END)

    def _feed_head(self, data: memoryview) -> int:
        """Return how many bytes at the beginning of ``data`` belong to the present head."""
        received = self._last + bytes(data)
        end = received.find(_EMPTY_LINE)
        if end < 0:
            self._last = received[1 - len(_EMPTY_LINE) :]
            count = len(data)
        else:
            count = end + len(_EMPTY_LINE) - len(self._last)
            self._last = b""
        head = data[:count]
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade:
            # The offer of another protocol is not taken; llhttp would give all that follows to that.
            self._parser = httptools.HttpRequestParser(self)
        except HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refused) else _why(error, None if self._received else head))
            return count
        self._received += count
        if self._headed is not None:
            self._begin_body(self._headed)
        elif self._received > HEAD_LIMIT:
            self._refuse(too_long())
        return count

    def _begin_body(self, request: Request) -> None:
        self.found.append(request)
        self._headed, self._received = None, 0
        self._forget_head()
        if request.length == 0:
            self.found.append(Mark.END)
            return
        if request.length is None:
            self.body = Chunked()
            request.trailers = self.body.trailers
        else:
            self.body = Sized(request.length)
        self._parser = httptools.HttpRequestParser(self)  # the other one waits for the body

    def _refuse(self, refused: Refused) -> None:
        self._refused = True
        self.found.append(refused)

    # What llhttp calls, in the order of the bytes.

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > TARGET_LIMIT:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"The target has {TARGET_LIMIT} bytes at most")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        self._count += 1
        if self._size > HEAD_LIMIT or self._count > HEADERS_LIMIT:
            raise too_long()
        self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._headed is not None:
            raise _bad("A head ends with an empty line")
        self._headed = self._request()

    def on_body(self, _piece: bytes) -> None:
        raise _bad("A head ends with an empty line")

    def _forget_head(self) -> None:
        self._target = b""
        self._headers: Headers = []
        self._size = self._count = 0

    def _request(self) -> Request:
        """Return what the head says.

        Raises:
            Refused: RFC 9112 wants it refused, or nobody here can do it.
        """
        method = self._parser.get_method().decode("ascii")
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            raise _wrong_version()
        named: dict[bytes, list[bytes]] = {}
        for name, value in self._headers:
            if name in _FRAMING:
                named.setdefault(name, []).append(value)
        _require_one_host(named.get(b"host", []), version)
        if method == "CONNECT":
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "This is no proxy")
        length = _length(named.get(b"content-length", []), named.get(b"transfer-encoding", []), version)
        expects_continue = version == "1.1" and [each.lower() for each in named.get(b"expect", ())] == [b"100-continue"]
        path, query = self._path()
        return Request(
            method, path, query, version, self._headers, length, self._parser.should_keep_alive(), expects_continue
        )

    def _path(self) -> tuple[bytes, bytes]:
        target = self._target
        if target[:1] == b"/":
            path, _, query = target.partition(b"#")[0].partition(b"?")
            return path, query
        if target == b"*":
            return target, b""
        try:
            url = httptools.parse_url(target)
        except HttpParserError:
            raise _bad("The target is neither a path nor a URL") from None
        return url.path or b"/", url.query or b""


def _require_one_host(hosts: list[bytes], version: str) -> None:
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise _bad("A request has one Host header")
    if hosts and not _HOST.match(hosts[0]):
        raise _bad("Host is not a name and a port")


def _length(lengths: list[bytes], codings: list[bytes], version: str) -> int | None:
    """Return how long the body is; ``None`` when its chunks will tell."""
    if codings:
        if lengths or version == "1.0":
            raise _bad("Transfer-Encoding with Content-Length, or in HTTP/1.0, leaves open where the body ends")
        if [each.lower() for each in codings] != [b"chunked"]:
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "The one Transfer-Encoding that is undone here is chunked")
        return None
    if len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
        raise _bad("Content-Length is one number")
    return int(lengths[0]) if lengths else 0


def _why(error: HttpParserError, beginning: memoryview | None) -> Refused:
    """Return why llhttp stopped; ``beginning``: the first bytes of the request, where they are known."""
    if isinstance(error, HttpParserInvalidMethodError) and beginning is not None:
        word, space, _ = bytes(beginning[:65]).partition(b" ")
        if space and _TOKEN.match(word):
            return Refused(HTTPStatus.NOT_IMPLEMENTED, "This method is not known here")
    if "HTTP version" in str(error) or "PRI" in str(error):
        return _wrong_version()
    return Refused(HTTPStatus.BAD_REQUEST, f"This is not HTTP/1.1: {error}")


def _bad(reason: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, reason)


def _wrong_version() -> Refused:
    return Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 and HTTP/1.0 are spoken here")
