"""The connections of an application, and a socket by which more come in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp

from headwater.server.edge.connection import Address, Connection, address_of
from headwater.server.edge.limits import BACKLOG, CONNECTIONS_LIMIT
from headwater.server.edge.stream import set_options
from headwater.threads import Pool

_log = logging.getLogger(__name__)

_ACCEPTS = 64  # connections taken at once, before those that are there have their turn
_PAUSE_S = 0.1
_TELLS_EVERY_S = 30.0  # that no connection can be taken


class Connections:
    """Those that one ASGI application answers."""

    def __init__(
        self,
        app: ASGIApp,
        files: Pool,
        *,
        limit: int = CONNECTIONS_LIMIT,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Begin with none.

        Args:
            files: The threads that send files.
            limit: How many there may be; beyond it those end that wait for their next request.
            tls: Gives each new connection its certificate; ``None`` speaks plain HTTP.
        """
        self.app, self.files, self.tls = app, files, tls
        self.idle: dict[Connection, None] = {}  # those that wait for a request, the longest first
        self.stopping = False
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, connected: socket.socket, client: object = None) -> None:
        """Answer the requests that come by a socket, which is ours from now on.

        Args:
            client: Its other end, as ``accept`` names it.
        """
        if len(self._tasks) >= self._limit:  # not sooner: nobody is ended for one who does not come
            self._end_the_longest_idle()
        connected.setblocking(False)
        try:
            set_options(connected)
            connection = Connection(self, connected, address_of(client))
        except OSError:  # gone already
            connected.close()
            return
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """End those that wait for a request; the others end with their answer."""
        self.stopping = True
        for connection in [each for each in self.idle if each.is_silent]:
            connection.interrupt()

    async def stopped(self) -> None:
        """Return when the last connection has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def _is_full(self) -> bool:
        return len(self._tasks) >= self._limit and not self.idle

    def _end_the_longest_idle(self) -> None:
        """Make room, if somebody waits for a request, or for us to agree about TLS."""
        for connection in self.idle:
            del self.idle[connection]
            connection.interrupt()
            return


class Listener(Connections):
    """Takes connections from a socket that listens."""

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        files: Pool,
        *,
        limit: int = CONNECTIONS_LIMIT,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Take the socket, which is ours from now on; connections are taken from ``start`` on."""
        super().__init__(app, files, limit=limit, tls=tls)
        self._paused = False
        self._tells_at = 0.0
        self._socket = listening

    @property
    def address(self) -> Address:
        """Where it listens; tells the port when 0 was asked for."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Take connections."""
        self._resume()

    def stop(self) -> None:
        """Take no more connections, and end those that wait for a request."""
        self.stopping = True
        self._accept()  # who is in the queue would be reset
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        super().stop()

    def _resume(self) -> None:
        if not self.stopping:
            self._paused = False
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.call_later(_PAUSE_S, self._resume)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            if self._is_full:
                self._pause()
                return
            try:
                connected, client = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._tell(error)
                self._end_the_longest_idle()
                self._pause()
                return
            self.serve(connected, client)

    def _tell(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self._tells_at:  # it is tried some times a second
            self._tells_at = now + _TELLS_EVERY_S
            _log.warning(
                "no connection can be taken for a moment, and for as long as this lasts",
                extra={"error": error.strerror},
            )


def listening(host: str, port: int, *, interface: str | None = None) -> socket.socket:
    """Return a socket that listens, together with those of other processes that share the port.

    Args:
        interface: The network interface that connections come by; ``None``: any.

    Raises:
        OSError: The address or the interface cannot be had.
    """
    with _bound(host, port, interface, shared=True) as made:
        made.listen(BACKLOG)
        made.setblocking(False)
    return made


def held(host: str, port: int, *, interface: str | None = None) -> socket.socket:
    """Return a socket that keeps a port for the processes that we fork: it takes no connections, and lets them listen.

    Nothing else had the port, and nobody else who asks for it here gets it as long as the socket is open.

    Args:
        interface: As of ``listening``.

    Raises:
        OSError: The address or the interface cannot be had.
    """
    with _bound(host, port, interface, shared=False) as made:
        # Bound as the only one; from now on those who share it are let in, and those who would be the only one are not.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return made


@contextlib.contextmanager
def _bound(host: str, port: int, interface: str | None, *, shared: bool) -> Iterator[socket.socket]:
    """Give a socket that is bound there; it is closed when something fails."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if interface is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        made.bind(where)
        yield made
    except OSError:
        made.close()
        raise
