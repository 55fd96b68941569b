"""A tree at an http(s) URL: read only, over connections that are kept.

Whoever names the URL trusts its host: it is for commands, whose caller could ask the host as well. Redirects are
followed; what proves who asks goes to the first host alone.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import httpx2 as httpx

from headwater import __version__
from headwater.clock import microseconds
from headwater.errors import SettingsError
from headwater.fetching.url_filter import redacted
from headwater.streams.format.json_objects import safe_path
from headwater.streams.trees.arriving import Arriving
from headwater.streams.trees.only_read import OnlyRead
from headwater.streams.trees.tree import (
    DOCUMENT_LIMIT,
    PAUSES_S,
    Document,
    Entry,
    PathChanged,
    PathNotFound,
    TreeRefused,
    TreeUnavailable,
)

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})
_NO_HEAD = frozenset({405, 501})
_CONNECTIONS = 64
_LEAST_SPEED, _PATIENCE_S = 256, 120  # bytes a second, judged after so long: no server holds us by a byte now and then


class WebTree(OnlyRead):
    """Files below ``url``; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        authorization: str | None = None,
        cafile: Path | None = None,
        verify: bool = True,
        timeout_s: float = 60,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: Of the root. A user and a password in it are sent as basic authentication and never shown.
            authorization: What proves who asks, such as ``Bearer …``.
            cafile: Certificates (PEM) that prove the server. Default: those of the system.
            verify: Whether the server has to prove itself at all.

        Raises:
            SettingsError: ``url`` is none, or there are no such certificates.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(f"{redacted(url)}: give http:// or https://, a host and a path, and nothing more")
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        self.place = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        self._sleep = sleep
        headers = {} if authorization is None else {"Authorization": authorization}
        try:
            context = ssl.create_default_context(cafile=cafile)
        except OSError as error:
            raise SettingsError(f"{cafile} is no file of certificates (PEM): {error.strerror}") from error
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._client = httpx.Client(
            auth=(unquote(name), unquote(password)) if user else None,
            # Packed answers are asked for of documents only: what is a file comes as it is.
            headers={"User-Agent": f"headwater/{__version__}", "Accept-Encoding": "identity", **headers},
            verify=context,
            timeout=timeout_s,
            follow_redirects=True,
            max_redirects=5,
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            trust_env=True,
        )

    def read(self, path: str, limit: int = DOCUMENT_LIMIT) -> Document:
        with closing(self._asked("GET", path, {"Accept-Encoding": "gzip"})) as answer:
            body = bytearray()
            for piece in self._pieces(answer, path, answer.iter_bytes):
                body += piece
                if len(body) > limit:
                    raise TreeRefused(self.place, f"{path} has more than the {limit} bytes that are read")
            return Document(bytes(body), _tag(answer), answer.headers.get("content-type"))

    def open(self, path: str, start: int = 0, *, tag: str | None = None) -> Arriving:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and tag and tag.startswith('"'):
            headers["If-Range"] = tag
        answer = self._asked("GET", path, headers)
        try:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise TreeRefused(self.place, f"{path}: the server packs the file, although it was asked not to")
            if start and tag not in (None, _tag(answer)):
                raise PathChanged(self.place, path)
        except BaseException:
            answer.close()
            raise
        began = start if answer.status_code == 206 else 0
        length = _number(answer.headers.get("content-length"))
        return Arriving(
            self,
            path,
            self._pieces(answer, path, answer.iter_raw),
            tag=_tag(answer),
            size=None if length is None else began + length,
            start=began,
            close=answer.close,
        )

    def stat(self, path: str) -> Entry:
        with closing(self._headers(path)) as answer:
            size = _number(answer.headers.get("content-length"))
            if size is None:
                raise TreeRefused(self.place, f"{path}: the server does not say how large it is")
            return Entry(path, size, _modified(answer), _tag(answer))

    def _headers(self, path: str) -> httpx.Response:
        """Return an answer of which the headers count; a server that knows GET only is asked so."""
        try:
            return self._asked("HEAD", path)
        except TreeRefused as error:
            if error.status not in _NO_HEAD:
                raise
            return self._asked("GET", path)

    def close(self) -> None:
        self._client.close()

    def _asked(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Return a good answer, whose body is still to come; ask again what may be answered later."""
        url = f"{self.place}/{quote(safe_path(path), safe='/:')}"
        for pause in (*PAUSES_S, None):
            try:
                return self._answer(method, url, path, headers)
            except TreeUnavailable:
                if pause is None:
                    raise
                self._sleep(pause)
        raise AssertionError

    def _answer(self, method: str, url: str, path: str, headers: Mapping[str, str] | None) -> httpx.Response:
        try:
            answer = self._client.send(self._client.build_request(method, url, headers=headers), stream=True)
        except httpx.TooManyRedirects as error:
            raise TreeRefused(self.place, f"{path}: it redirects more than 5 times") from error
        except httpx.UnsupportedProtocol as error:
            raise TreeRefused(self.place, f"{path}: it redirects to what is neither http:// nor https://") from error
        except httpx.TransportError as error:
            raise TreeUnavailable(self.place, f"{path}: {_reason(error)}") from error
        if answer.status_code in (200, 206):
            return answer
        answer.close()
        status = answer.status_code
        if status in _GONE:
            raise PathNotFound(self.place, path, status)
        if status == 416:
            raise PathChanged(self.place, path)
        reason = f"{path}: the server answered {status} {answer.reason_phrase}".rstrip()
        raise (TreeUnavailable if status in _PASSING else TreeRefused)(self.place, reason, status)

    def _pieces(self, answer: httpx.Response, path: str, read: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        began, received = time.monotonic(), 0
        try:
            for piece in read():
                received += len(piece)
                waited = time.monotonic() - began
                if waited > _PATIENCE_S and received < _LEAST_SPEED * waited:
                    raise TreeUnavailable(
                        self.place, f"{path}: the server sends less than {_LEAST_SPEED} bytes a second"
                    )
                yield piece
        except httpx.TransportError as error:
            raise TreeUnavailable(self.place, f"{path}: {_reason(error)}") from error
        except httpx.DecodingError as error:
            raise TreeRefused(self.place, f"{path}: it is not packed as the server says") from error


def _tag(answer: httpx.Response) -> str:
    """Return what tells this content from another: the entity tag, or else the date and the size, or else nothing."""
    headers = answer.headers
    named = headers.get("etag")
    if named:
        return str(named).removeprefix("W/")
    # A part tells the size of the whole at the end of its range: ``bytes 700-1999/2000``.
    size = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length")
    said = [each for each in (headers.get("last-modified"), size) if each is not None]
    return " ".join(said) or "unknown"


def _modified(answer: httpx.Response) -> int | None:
    try:
        return microseconds(parsedate_to_datetime(answer.headers["last-modified"]))
    except (KeyError, ValueError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def _reason(error: httpx.TransportError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate does not prove the host ({cause.verify_message}): name the certificates of those who "
                "signed it with --cafile"
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "the server did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return "the server cannot be reached"
    return "the connection broke off"
