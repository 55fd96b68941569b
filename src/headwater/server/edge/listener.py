"""A port and the connections that came in by it."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable

from starlette.types import ASGIApp

from headwater.server.edge.connection import Address, Connection
from headwater.server.edge.limits import BACKLOG, CONNECTIONS_LIMIT
from headwater.server.edge.stream import set_options
from headwater.threads import Pool

_log = logging.getLogger(__name__)

_ACCEPTS = 64  # connections taken at once, before those that are there have their turn
_PAUSE_S = 0.1
_SPARE_FILES = 128  # descriptors of the database, of stores and of the log


class Listener:
    """Serves one ASGI application on one address."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        files: Pool,
        *,
        limit: int = CONNECTIONS_LIMIT,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Listen, together with other processes that do; connections are taken from ``start`` on.

        Args:
            files: The threads that send files.
            limit: How many connections there may be; beyond it those end that wait for their next request.
            tls: Gives each new connection its certificate; ``None`` speaks plain HTTP.

        Raises:
            OSError: The address cannot be had.
        """
        self.app, self.files, self.tls = app, files, tls
        self.idle: dict[Connection, None] = {}  # those that wait for a request, the longest first
        self.stopping = False
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused = False
        self._socket = _listening(host, port)

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
        for connection in [each for each in self.idle if each.is_silent]:
            connection.interrupt()

    async def stopped(self) -> None:
        """Return when the last connection has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

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
            if len(self._tasks) >= self._limit and not self.idle:
                self._pause()
                return
            try:
                connected, client = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("no connection can be taken for a moment", extra={"error": error.strerror})
                self._end_the_longest_idle()
                self._pause()
                return
            if len(self._tasks) >= self._limit:  # not sooner: nobody is ended for one who does not come
                self._end_the_longest_idle()
            self._serve(connected, client[:2])

    def _serve(self, connected: socket.socket, client: Address) -> None:
        connected.setblocking(False)
        try:
            set_options(connected)
            connection = Connection(self, connected, client)
        except OSError:  # gone already
            connected.close()
            return
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_the_longest_idle(self) -> None:
        """Make room, if somebody waits for a request, or for us to agree about TLS."""
        for connection in self.idle:
            del self.idle[connection]
            connection.interrupt()
            return


def connections_limit(listeners: int) -> int:
    """Return how many connections each of so many listeners may have, after asking for as many files as are allowed.

    A connection that carries a file needs two descriptors.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = CONNECTIONS_LIMIT * 2 * listeners if hard == resource.RLIM_INFINITY else hard
    return max(8, min(CONNECTIONS_LIMIT, (files - _SPARE_FILES) // (2 * listeners)))


def _listening(host: str, port: int) -> socket.socket:
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
