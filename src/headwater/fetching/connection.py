"""One connection to a server that others chose: to an address that passed, waited for within bounds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from headwater.fetching.url_filter import Target, UrlFilter

Look = Callable[[], None]
_LOOK_EVERY_S = 1.0
_PATIENCE_S = 30  # of waiting for data, before its speed is judged


class Connection:
    """One connection for one request; closing it works at any time."""

    def __init__(self, url_filter: UrlFilter, target: Target, tls: ssl.SSLContext, watch: Watch) -> None:
        self.watch = watch
        self._dialler = _Dialler(url_filter, target, watch)
        self.http = httpcore2.HTTPConnection(
            httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port),
            ssl_context=tls,
            network_backend=self._dialler,
        )

    @property
    def is_guarded(self) -> bool:
        """Callers are not to learn what there is at one of the addresses that were tried."""
        return self._dialler.is_guarded

    def close(self) -> None:
        self.http.close()
        self._dialler.close()


class _Dialler(httpcore2.NetworkBackend):
    """Connects to the addresses that passed the filter, whatever name is asked for."""

    def __init__(self, url_filter: UrlFilter, target: Target, watch: Watch) -> None:
        self._filter, self._target, self._watch = url_filter, target, watch
        self._sockets = httpcore2.SyncBackend()
        self._stream: httpcore2.NetworkStream | None = None
        self.is_guarded = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: Exception | None = None
        for address in self._filter.addresses(self._target):
            self.is_guarded |= self._filter.is_guarded(self._target, address)
            try:
                self._stream = self._sockets.connect_tcp(address, self._target.port, self._watch.within(timeout))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error  # with two kinds of addresses one often leads nowhere
            else:
                return _Watched(self._stream, self._watch)
        raise failed or httpcore2.ConnectError

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class _Watched(httpcore2.NetworkStream):
    """A connection whose waits add up."""

    def __init__(self, stream: httpcore2.NetworkStream, watch: Watch) -> None:
        self._stream, self._watch = stream, watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        began = time.monotonic()
        while True:
            left = self._watch.within(None if timeout is None else began + timeout - time.monotonic())
            try:
                data = self._stream.read(max_bytes, min(left, _LOOK_EVERY_S))
            except httpcore2.ReadTimeout:
                self._watch.look()
                if left <= _LOOK_EVERY_S:
                    raise
            else:
                break
        self._watch.received(len(data), time.monotonic() - began)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._watch.within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Watched(self._stream.start_tls(ssl_context, server_hostname, self._watch.within(timeout)), self._watch)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Watch:
    """How long one answer has been waited for. Only waits count: a reader of ours may be slow."""

    def __init__(self, min_speed: int, deadline: float, look: Look) -> None:
        self.look = look
        self._min_speed = min_speed
        self._deadline: float | None = deadline
        self._waited_s, self._received = 0.0, 0

    def within(self, timeout: float | None) -> float:
        """Return how long the next wait may be."""
        left = float("inf") if self._deadline is None else self._deadline - time.monotonic()
        least = left if timeout is None else min(left, timeout)
        if least <= 0:
            raise httpcore2.ReadTimeout
        return least

    def head_is_here(self) -> None:
        """From now on the speed counts."""
        self._deadline = None
        self._waited_s, self._received = 0.0, 0

    def received(self, size: int, waited_s: float) -> None:
        """Take note of one read; raise when the server is too slow."""
        self._waited_s += waited_s
        self._received += size
        if (
            self._deadline is None
            and self._waited_s > _PATIENCE_S
            and self._received < self._min_speed * self._waited_s
        ):
            raise httpcore2.ReadTimeout
