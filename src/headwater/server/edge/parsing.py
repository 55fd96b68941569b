"""Bytes become requests: what llhttp finds, and what RFC 9112 wants of it besides.

A parser keeps what it has found until it is asked for: a request, pieces of its body, the end of that body,
the next request. What is not HTTP becomes the last thing found, so that whole requests before it are answered.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

import httptools
from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade

from headwater.server.edge.limits import HEAD_LIMIT, HEADERS_LIMIT, TARGET_LIMIT

Headers = list[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}\Z")
# Names and addresses as they are used. RFC 3986 allows more, such as quotes: nobody is called so, links would carry it.
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?\Z")
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_VERSIONS = ("1.1", "1.0")


class Refused(Exception):
    """What a client sent is not a request that can be answered; the connection ends with this."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


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


Found = Request | bytes | Mark | Refused


class Parser:
    """The requests of one connection."""

    def __init__(self) -> None:
        self.found: deque[Found] = deque()
        self._parser = httptools.HttpRequestParser(self)
        self._in_body = False
        self._body_length: int | None = 0
        self._refused = self._offered = self._declines = False
        self._unfinished = 0  # bytes since something was found
        self._forget_head()

    @property
    def in_head(self) -> bool:
        """The last bytes were the beginning of a head."""
        return self._unfinished > 0 and not self._in_body

    def feed(self, data: memoryview) -> None:
        """Take what was received; ``found`` has more afterwards, or the head is not complete."""
        if self._refused:
            return
        before = len(self.found)
        try:
            self._feed(data)
        except HttpParserError as error:
            self._refused = True
            cause = error.__context__
            is_first = self._unfinished == 0 and len(self.found) == before
            self.found.append(cause if isinstance(cause, Refused) else _why(error, data if is_first else None))
        self._unfinished = 0 if len(self.found) > before else self._unfinished + len(data)
        if self._unfinished > HEAD_LIMIT and not self._refused:
            self._refused = True
            self.found.append(_too_long())

    def _feed(self, data: memoryview) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._decline()

    def _decline(self) -> None:
        """Go on in HTTP/1.1 where the client offers another protocol.

        llhttp takes all that follows such a head for that protocol, the body too. A parser that saw no offer
        but the same framing finds the body, or the next request.
        """
        self._parser = httptools.HttpRequestParser(self)
        if not self._in_body:
            return
        length = self._body_length
        framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        self._declines = True
        self._parser.feed_data(b"PUT / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        self._declines = False

    def skip_body(self) -> None:
        """Begin at the next request: what is left of the present body is taken by somebody who counts it."""
        self._parser = httptools.HttpRequestParser(self)
        self._in_body = self._offered = False
        self._body_length, self._unfinished = 0, 0
        self._forget_head()

    # What llhttp calls, in the order of the bytes.

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > TARGET_LIMIT:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"The target has {TARGET_LIMIT} bytes at most")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        self._count += 1
        if self._size > HEAD_LIMIT or self._count > HEADERS_LIMIT:
            raise _too_long()
        if not self._in_body:  # a trailer says nothing that we would want
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._declines:
            return
        request = self._request()
        self.found.append(request)
        self._in_body = True
        self._body_length = request.length
        self._offered = self._parser.should_upgrade()

    def on_body(self, piece: bytes) -> None:
        self.found.append(piece)

    def on_message_complete(self) -> None:
        if self._offered and self._body_length != 0:
            self._offered = False  # this is not its end; see _decline
            return
        self.found.append(Mark.END)
        self._in_body = False
        self._forget_head()

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


def _too_long() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"A head has {HEADERS_LIMIT} fields and {HEAD_LIMIT} bytes at most",
    )


def _wrong_version() -> Refused:
    return Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 and HTTP/1.0 are spoken here")
