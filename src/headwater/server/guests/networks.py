"""The listeners of networks: each tells its machines from those of other networks that have the same addresses.

Its interface may come later than the service, go, and come again as another one of the same name, as bridges do. So a
listener looks for it every ``TURN_S``, and the service begins without. What stands in the way for good (a port that is
taken, a right that is missing) ends the start, as with the other ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import SettingsError
from headwater.http.context import context
from headwater.instances.callers.settings import NetworkSettings
from headwater.server.edge.listener import Listener, held, listening
from headwater.server.settings import address
from headwater.threads import Pool

_log = logging.getLogger(__name__)

TURN_S = 2.0
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})


class PortTaken(SettingsError):
    """Something else listens there, or nobody may."""

    def __init__(self, section: str, key: str, bind: str, error: OSError) -> None:
        super().__init__(
            f"section [{section}], key '{key}': cannot listen on {bind}: {(error.strerror or str(error)).lower()}; "
            "stop what listens there or give another HOST:PORT"
        )


class OnNetwork:
    """An application whose requests come by the listener of a network."""

    def __init__(self, app: ASGIApp, name: str, *, trusted: bool) -> None:
        self._app, self._name, self._trusted = app, name, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = context(scope)
        known.network, known.may_say_who = self._name, self._trusted
        await self._app(scope, receive, send)


def kept(name: str, settings: NetworkSettings) -> socket.socket | None:
    """Return a socket that keeps the port of a network, as ``held``; ``None`` while address or interface are not there.

    Raises:
        PortTaken: It cannot be had for another reason.
    """
    return _opened(name, settings, held)


class NetworkListener:
    """Takes connections of one network while it is there."""

    def __init__(
        self,
        app: ASGIApp,
        name: str,
        settings: NetworkSettings,
        files: Pool,
        *,
        limit: int,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Listen, if the network is there already; connections are taken from ``start`` on.

        Args:
            files, limit, tls: As of ``Listener``.

        Raises:
            PortTaken: As ``kept`` says.
        """
        self._name, self._settings = name, settings
        self._new = partial(Listener, app, files=files, limit=limit, tls=tls)
        self._index: int | None = None  # of the interface that it listens on
        self._now: Listener | None = None
        self._before: list[Listener] = []  # of interfaces that are gone; some of their requests may go on
        self._turns: asyncio.Task[None] | None = None
        if self._open() is None:
            _log.warning("a network is not there yet: it is looked for again and again", extra=self._said)

    def start(self) -> None:
        """Take connections, now or as soon as the network is there."""
        if self._now is not None:
            self._now.start()
        self._turns = asyncio.get_running_loop().create_task(self._look())

    def stop(self) -> None:
        """Take no more connections, and end those that wait for a request."""
        if self._turns is not None:
            self._turns.cancel()
        self._close()

    async def stopped(self) -> None:
        """Return when the last connection has ended."""
        for each in self._before:
            await each.stopped()

    @property
    def _said(self) -> dict[str, str]:
        return {"network": self._name, "bind": self._settings.bind, "interface": self._interface or ""}

    @property
    def _interface(self) -> str | None:
        """The name of the interface that it listens on and that may become another one."""
        _, _, zone = address(self._settings.bind)[0].partition("%")
        return self._settings.interface or zone or None

    def _open(self) -> Listener | None:
        index = _index(self._interface)
        bound = _opened(self._name, self._settings)
        if bound is not None:
            self._now, self._index = self._new(bound), index
        return self._now

    def _close(self) -> None:
        if self._now is not None:
            self._now.stop()
            self._before.append(self._now)
            self._now = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(TURN_S)
            if self._now is not None:
                if _index(self._interface) == self._index:
                    continue
                _log.warning("a network is not there any more", extra=self._said)
                self._close()
            try:
                found = self._open()
            except PortTaken as error:
                _log.warning("a network cannot be listened on", extra={**self._said, "error": str(error)})
                continue
            if found is not None:
                found.start()
                _log.info("a network is there", extra=self._said)


def _opened(
    name: str, settings: NetworkSettings, bound: Callable[..., socket.socket] = listening
) -> socket.socket | None:
    host, port = address(settings.bind)
    try:
        return bound(host, port, interface=settings.interface)
    except OSError as error:
        if _is_absent(host, error):
            return None
        raise PortTaken(f"metadata.networks.{name}", "bind", settings.bind, error) from error


def _is_absent(host: str, error: OSError) -> bool:
    """Whether it may come yet: an address that no interface has, or an interface."""
    return error.errno in _ABSENT or (isinstance(error, socket.gaierror) and "%" in host)


def _index(interface: str | None) -> int | None:
    """Return the number of an interface, which one that was made anew has not; ``None``: there is none."""
    if interface is None:
        return None
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(interface)
    return None
