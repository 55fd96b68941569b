"""Fetch what a URL of a caller names: the one way by which Headwater asks servers that others chose.

Every hop, the first and each redirect, goes through ``url_filter``: the URL is read and judged, its host is resolved,
and the connection is made to one of the addresses that passed, so a name that changes its address between check and
use gains nothing. TLS proves the host that the URL names. Nothing of the caller or of this process goes along:
no proxy of the environment, no cookie, no credential but one that is given for this server (``headers``), which no
other one gets by a redirect.

The other side is not trusted either: what it sends is bounded in time (each wait, all waits for the answer's head,
a least speed after that), in hops and in size; bytes are taken as they come and not unpacked.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urljoin

import httpcore2
from pydantic import Field

from headwater import __version__
from headwater.errors import SettingsError, TooLarge, Unavailable
from headwater.fetching.connection import Connection, Look, Watch
from headwater.fetching.url_filter import NotResolved, Resolve, Target, UrlFilter, UrlFilterSettings, redacted

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,19})-([0-9]{1,19})/(?:([0-9]{1,19})|\*)")
_MAY_PASS = frozenset({408, 425, 429})  # what a server answers to a request that is fine
# How much older than its answer data must be for its date to tell it from other data. Source: RFC 9110, section 8.8.2.2
_SETTLED_S = 60
_log = logging.getLogger(__name__)
_Headers = dict[bytes | str, bytes | str]
_NOTHING: Mapping[str, str] = MappingProxyType({})


class FetchSettings(UrlFilterSettings):
    """Section ``[fetch]``: which URLs that callers give are fetched, and how long and how much is waited for.

    The filter's keys are those of Glance's ``[import_filtering_opts]``. A list that is empty says nothing.
    """

    redirects: Annotated[int, Field(description="How many redirects are followed, each checked.", ge=0, le=20)] = 5
    connect_timeout_s: Annotated[
        float, Field(description="How long a connection to one address may take, in seconds.", gt=0, le=300)
    ] = 10
    answer_timeout_s: Annotated[
        float, Field(description="How long a server may take until its answer begins, in seconds.", gt=0, le=3600)
    ] = 60
    read_timeout_s: Annotated[float, Field(description="How long data may stand still, in seconds.", gt=0, le=3600)] = (
        60
    )
    min_speed: Annotated[
        int, Field(description="Least speed of data in bytes a second, judged after 30 s; 0: any.", ge=0)
    ] = 32 << 10
    size_limit: Annotated[int, Field(description="Most bytes that one URL may give.", ge=1)] = 1 << 40
    cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove servers. Default: those of the system.")
    ] = None


class RemoteFailed(Unavailable):
    """The server that a URL names did not give what was asked; ``status`` is what it answered, if it did.

    ``guarded``: callers are not to learn whether there is a server, so the message does not say what went wrong.
    """

    def __init__(self, url: str, reason: str, status: int | None = None, *, guarded: bool = False) -> None:
        super().__init__(f"{redacted(url)}: {'the server did not give it' if guarded else reason}")
        self.reason, self.status, self.guarded = reason, status, guarded

    @property
    def is_missing(self) -> bool:
        """The server says that there is no such thing, and that may be told."""
        return self.status in (404, 410) and not self.guarded

    @property
    def may_pass(self) -> bool:
        """The same may be answered otherwise a while later."""
        return self.status is None or self.status >= 500 or self.status in _MAY_PASS


class RemoteChanged(RemoteFailed):
    """What follows a part that was read is not to be had: the data is another by now, or comes in one piece only."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "the connection broke, and the server does not give the rest of the same data")


class RemoteTooLarge(TooLarge):
    """The server gives more than is taken."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(f"{redacted(url)} gives more than {limit} bytes")
        self.limit = limit


class Fetcher:
    """Fetches URLs; safe to use from several threads."""

    def __init__(self, settings: FetchSettings, *, resolve: Resolve | None = None) -> None:
        """Make ready to fetch.

        Args:
            resolve: Gives the addresses of a host and port, or none. Default: the system's resolver.

        Raises:
            SettingsError: The certificates of ``cafile`` cannot be read.
        """
        self._settings = settings
        self._filter = UrlFilter(settings, resolve)
        if settings.cafile is not None:
            _ = self._tls  # a file that is no good stops the start

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """What proves servers; reading the system's certificates takes a while, and not everybody fetches."""
        try:
            return ssl.create_default_context(cafile=self._settings.cafile)
        except OSError as error:
            raise SettingsError(
                f"section [fetch], key 'cafile': {self._settings.cafile} is no file of certificates (PEM): "
                f"{error.strerror}"
            ) from error

    def check(self, url: str) -> None:
        """Return when ``url`` may be fetched at the moment; the server is not asked.

        Raises:
            UrlRefused: It may not.
        """
        self._filter.addresses(self._filter.target(url))

    def size(self, url: str, *, look: Look = lambda: None) -> int | None:
        """Return how many bytes ``url`` would give; ``None`` when the server does not say.

        Args:
            look: As of ``open``.

        Raises:
            UrlRefused: It may not be fetched.
            RemoteFailed: The server cannot be reached or does not have it.
        """
        with self._ask("HEAD", url, look=look) as answer:
            if answer.status == 200 and answer.length is not None and not answer.is_coded:
                return answer.length
        with self.open(url, 0, 1, look=look) as fetched:  # not every server knows HEAD
            return fetched.size

    def open(
        self,
        url: str,
        start: int = 0,
        length: int | None = None,
        *,
        if_range: str | None = None,
        look: Look = lambda: None,
        headers: Mapping[str, str] = _NOTHING,
    ) -> Fetched:
        """Return the bytes of ``url`` from ``start`` on, ``length`` at most, ready to be read.

        A server that gives no ranges is read from the beginning, and what was not asked for is dropped.

        Args:
            if_range: The ``validator`` of the data that is read on from ``start``.
            look: Called about once a second while the server is waited for; what it raises ends the fetching.
            headers: More of the request, for the scheme, host and port of ``url`` alone.

        Raises:
            RemoteChanged: It is not the data of ``if_range``, or the server gives no part of it.
            UrlRefused: It may not be fetched.
            RemoteFailed: The server cannot be reached or does not have it.
            RemoteTooLarge: It is larger than ``size_limit``.
        """
        asked: _Headers = {}
        if start or length is not None:
            last = "" if length is None else str(start + max(1, length) - 1)
            asked["Range"] = f"bytes={start}-{last}"
            if if_range is not None:
                asked["If-Range"] = if_range
        answer = self._ask("GET", url, asked, look, own=headers)
        try:
            return self._fetched(answer, url, start, length, ranged="Range" in asked, if_range=if_range)
        except BaseException:
            answer.close()
            raise

    def _fetched(
        self, answer: _Answer, url: str, start: int, length: int | None, *, ranged: bool, if_range: str | None
    ) -> Fetched:
        limit = self._settings.size_limit
        size, skip = answer.length, start
        if if_range is not None and (answer.status == 200 or answer.contradicts(if_range)):
            raise RemoteChanged(url)
        if ranged and answer.status == 206:
            size, skip = answer.range_size(start), 0
        elif ranged and answer.status == 416:
            answer.close()
            return Fetched(url, answer, size=answer.unsatisfied_size, skip=0, length=0, limit=limit)
        elif answer.status != 200:
            raise answer.failed(f"the server answered {answer.status}", answer.status)
        if answer.is_coded:
            raise answer.failed("the server packs the data, although it was asked not to", answer.status)
        if size is not None and size > limit:
            raise RemoteTooLarge(url, limit)
        if size is not None:  # then the end is known, and an earlier one is an error
            rest = max(0, size - start)
            length = rest if length is None else min(length, rest)
        return Fetched(url, answer, size=size, skip=skip, length=length, limit=limit)

    def _ask(
        self,
        method: str,
        url: str,
        headers: _Headers | None = None,
        look: Look = lambda: None,
        *,
        own: Mapping[str, str] = _NOTHING,
    ) -> _Answer:
        """Return the answer at the end of all redirects.

        Args:
            own: Headers for the first server alone.
        """
        deadline = time.monotonic() + self._settings.answer_timeout_s
        first: Target | None = None
        for _ in range(self._settings.redirects + 1):
            target = self._filter.target(url)
            first = first or target
            if (target.scheme, target.host, target.port) != (first.scheme, first.host, first.port):
                own = _NOTHING
            sent: _Headers = dict(headers or {})
            sent.update(own.items())
            answer = _Answer(self._connection(target, deadline, look), method, target, sent, self._settings)
            place = answer.header(b"location") if answer.status in _REDIRECTS else None
            if place is None:
                return answer
            answer.close()
            url = urljoin(str(target), place.decode("latin-1"))
        raise answer.failed(f"it redirects more than {self._settings.redirects} times")

    def _connection(self, target: Target, deadline: float, look: Look) -> Connection:
        return Connection(self._filter, target, self._tls, Watch(self._settings.min_speed, deadline, look))


class Fetched:
    """What a URL gives: an iterator of pieces, to be closed, read by one thread at a time."""

    def __init__(
        self,
        url: str,
        answer: _Answer,
        *,
        size: int | None,
        skip: int,
        length: int | None,
        limit: int,
    ) -> None:
        self.size = size  # bytes of the whole object; None when the server does not say
        self.validator = answer.validator  # tells this data from any other at the URL; None when nothing does
        self._url = url
        self._answer = answer
        self._skip, self._length, self._limit = skip, length, limit
        self._pieces = self._read()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; does nothing a second time."""
        self._answer.close()

    def _read(self) -> Iterator[bytes]:
        skip, left, given = self._skip, self._length, 0
        try:
            if left == 0:
                return
            for piece in self._answer.pieces():
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                part, skip = piece[skip:] if skip else piece, 0
                if left is not None:
                    part = part[:left]
                    left -= len(part)
                given += len(part)
                if given > self._limit:
                    raise RemoteTooLarge(self._url, self._limit)
                yield part
                if left == 0:
                    return
            if left and self.size is not None:
                raise self._answer.failed(f"the data ended {left} bytes too early")
        finally:
            self.close()


class _Answer:
    """The head of one answer, and the pieces that follow it."""

    def __init__(
        self, connection: Connection, method: str, target: Target, headers: _Headers, settings: FetchSettings
    ) -> None:
        self._connection, self._target = connection, target
        sent: _Headers = {
            "Host": target.authority,
            "User-Agent": f"headwater/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        request = httpcore2.Request(
            method,
            httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers={**sent, **headers},
            extensions={
                "timeout": {
                    "connect": settings.connect_timeout_s,
                    "read": settings.read_timeout_s,
                    "write": settings.answer_timeout_s,
                }
            },
        )
        with self._translated():
            self._response = connection.http.handle_request(request)
        connection.watch.head_is_here()
        self.status = self._response.status

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this name, which is lower case."""
        return next((value for key, value in self._response.headers if key.lower() == name), None)

    @property
    def length(self) -> int | None:
        """How many bytes follow, if the server says it."""
        value = self.header(b"content-length") or b""
        return int(value) if re.fullmatch(rb"[0-9]{1,19}", value) else None

    @property
    def is_coded(self) -> bool:
        """What follows is not the data itself, but packed; its length and ranges are those of the packed bytes."""
        codings = [value for key, value in self._response.headers if key.lower() == b"content-encoding"]
        return any(value.strip().lower() not in (b"", b"identity") for value in codings)

    @property
    def validator(self) -> str | None:
        """What ``If-Range`` may say of this data: a strong tag, or a date that is as good as one."""
        tag = self.header(b"etag")
        if tag is not None:
            return tag.decode("latin-1") if tag.startswith(b'"') else None
        modified = self.header(b"last-modified")
        then, at = _date(modified), _date(self.header(b"date"))
        if modified is None or then is None or at is None or at - then < _SETTLED_S:
            return None
        return modified.decode("latin-1")

    def contradicts(self, validator: str) -> bool:
        """Return whether this is of other data than what has the tag ``validator``, whatever its status says."""
        tag = self.header(b"etag")
        return validator.startswith('"') and tag is not None and tag.decode("latin-1") != validator

    def range_size(self, start: int) -> int | None:
        """Return the size of the whole thing of which this is the part that begins at ``start``.

        Raises:
            RemoteFailed: It is another part.
        """
        match = _CONTENT_RANGE.fullmatch(self.header(b"content-range") or b"")
        if match is None or int(match[1]) != start:
            raise self.failed("the server gave another range than the one asked for")
        return int(match[3]) if match[3] else None

    @property
    def unsatisfied_size(self) -> int | None:
        """The size of the whole thing, in an answer that there is nothing in the range."""
        match = re.fullmatch(rb"bytes \*/([0-9]{1,19})", self.header(b"content-range") or b"")
        return int(match[1]) if match else None

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        stream = self._response.stream
        if not isinstance(stream, Iterable):  # pragma: no cover - the blocking client gives no other
            raise TypeError(type(stream))
        with self._translated():
            yield from stream

    def failed(self, reason: str, status: int | None = None) -> RemoteFailed:
        """Return the error to raise; where it may not say the reason, the operator's log does."""
        url, guarded = str(self._target), self._connection.is_guarded
        if guarded:
            _log.warning("a server did not give its data", extra={"url": redacted(url), "reason": reason})
        return RemoteFailed(url, reason, status, guarded=guarded)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the library raises into ours. The reason is coarse: it is no tool to look around a network."""
        try:
            yield
        except BaseException as error:
            self._connection.close()
            if isinstance(error, NotResolved):
                raise self.failed("its host has no address at the moment") from None
            if isinstance(error, httpcore2.TimeoutException):
                raise self.failed("the server did not answer in time") from error
            if isinstance(error, httpcore2.ConnectError) and _is_about_certificates(error):
                raise self.failed("its certificate does not prove the host") from error
            if isinstance(error, httpcore2.ConnectError):
                raise self.failed("the server cannot be reached") from error
            if isinstance(error, httpcore2.NetworkError | httpcore2.ProtocolError | OSError):
                raise self.failed("the connection broke off") from error
            raise


def _date(value: bytes | None) -> float | None:
    """Return a date of a header in seconds since 1970."""
    try:
        return None if value is None else parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except ValueError:
        return None


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
