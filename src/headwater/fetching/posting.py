"""Ask a server that the operator chose, by POST: a question goes out, a small answer comes back.

The URL stands in the settings, so its host may also be loopback or private; it is read as strictly as any other, and
the connection is made to the addresses of that host and to nothing else. No redirect is followed, no proxy of the
environment is used, and the time counts for the whole answer: a server that sends a byte now and then gains none.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpcore2

from headwater import __version__
from headwater.errors import SettingsError, Unavailable
from headwater.fetching.connection import Connection, Watch
from headwater.fetching.url_filter import Resolve, UrlFilter, UrlFilterSettings, UrlRefused


class NoReply(Unavailable):
    """There is no answer that could be used; ``reason`` holds neither the URL nor what was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    body: bytes


class Poster:
    """Asks at one URL; safe to use from several threads."""

    def __init__(self, url: str, *, cafile: Path | None = None, limit: int, resolve: Resolve | None = None) -> None:
        """Prepare; nothing is asked yet.

        Args:
            cafile: Certificates that prove the server; ``None``: those of the system.
            limit: Most bytes of an answer.
            resolve: As of ``Fetcher``.

        Raises:
            UrlRefused: The URL is of no form that is asked.
            SettingsError: ``cafile`` cannot be read.
        """
        target = UrlFilter(UrlFilterSettings(allowed_ports=())).target(url)
        allowed = UrlFilterSettings(
            allowed_schemes=(target.scheme,), allowed_hosts=(target.host,), allowed_ports=(target.port,)
        )
        self._filter = UrlFilter(allowed, resolve)
        self._target, self._cafile, self._limit = self._filter.target(url), cafile, limit
        if cafile is not None:
            _ = self._tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._cafile)
        except OSError as error:
            raise SettingsError(
                f"{self._cafile} is no file of certificates (PEM): {error.strerror or error}"
            ) from error

    def post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> Reply:
        """Return what the server answers.

        Args:
            headers: Of the body, and what the server is to know of who asks.
            deadline: Until when the whole answer is waited for, by ``time.monotonic``.

        Raises:
            NoReply: There is none, none in time, or one that is too long or packed.
        """
        target = self._target
        connection = Connection(self._filter, target, self._tls, Watch(0, deadline, lambda: None))
        sent: dict[bytes | str, bytes | str] = {
            "Host": target.authority,
            "User-Agent": f"headwater/{__version__}",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Length": str(len(body)),
        }
        sent.update(headers.items())
        left_s = max(0.001, deadline - time.monotonic())
        request = httpcore2.Request(
            "POST",
            httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=sent,
            content=body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write"), left_s)},
        )
        try:
            response = connection.http.handle_request(request)
            if any(
                name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity")
                for name, value in response.headers
            ):
                raise NoReply("the server packs its answer, although it was asked not to")
            return Reply(response.status, self._read(response))
        except httpcore2.TimeoutException as error:
            raise NoReply("the server did not answer in time") from error
        except httpcore2.ConnectError as error:
            raise NoReply("the server cannot be reached, or its certificate does not prove it") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise NoReply("the connection broke off") from error
        except UrlRefused as error:
            raise NoReply(error.reason) from error
        finally:
            connection.close()

    def _read(self, response: httpcore2.Response) -> bytes:
        stream, body = response.stream, bytearray()
        if not isinstance(stream, Iterable):  # pragma: no cover - the blocking client gives no other
            raise TypeError(type(stream))
        for piece in stream:
            body += piece
            if len(body) > self._limit:
                raise NoReply(f"the answer has more than {self._limit} bytes")
        return bytes(body)
