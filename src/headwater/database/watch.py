"""A server that stands still is noticed, and nobody waits for it.

A stopped process keeps its connections: what is sent to it arrives, and no answer ever comes. Whether a long silence is
that or a long statement, a new connection tells: a server that is well answers it at once. When it does not, the
sockets of all connections are shut down, which ends every waiting, and until it answers again all calls fail at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from headwater.database.faults import DatabaseUnavailable

SILENT_S = 2.5  # so long nobody wonders
ANSWERS_S = 3  # so long may the server take for a new connection
_TICK_S = 0.5
_log = logging.getLogger(__name__)


class ServerStandsStill(DatabaseUnavailable):
    """The server takes connections and answers none."""


class Watch:
    """Watches over the calls of one ``Database``; safe to use from several threads."""

    def __init__(self, name: str, connect: Callable[[], Any], driver_error: type[Exception]) -> None:
        """Watch nothing yet.

        Args:
            name: What the database is called in messages.
            connect: Opens a connection, and gives up after ``ANSWERS_S``.
            driver_error: What its driver raises.
        """
        self._name = name
        self._connect = connect
        self._failures = (driver_error, OSError)
        self._lock = threading.Lock()
        self._since: dict[int, float] = {}  # when the call of each thread began
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._stands_still = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def require(self) -> None:
        """Raise ``ServerStandsStill`` while the server does."""
        if self._stands_still:
            raise ServerStandsStill(f"the database {self._name} takes connections and does not answer")

    def begin(self) -> None:
        """Watch over what this thread asks of the server, until its ``end``.

        Raises:
            ServerStandsStill: The server answers nobody.
        """
        self.require()
        if self._thread is None:
            self._start()
        self._since[threading.get_ident()] = time.monotonic()

    def end(self) -> None:
        """Watch over this thread no more."""
        self._since.pop(threading.get_ident(), None)

    def opened(self, connection: Any) -> None:
        """Take note of a connection of the driver."""
        with self._lock:
            self._connections.add(connection)

    def close(self) -> None:
        """Watch no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        answered = 0.0
        while not self._ended.wait(_TICK_S):
            oldest = min(list(self._since.values()), default=None)
            is_silent = oldest is not None and time.monotonic() - max(oldest, answered) > SILENT_S
            if not (is_silent or self._stands_still):
                continue
            if self._answers():
                answered = time.monotonic()
                if self._stands_still:
                    _log.info("the database answers again")
                self._stands_still = False
                continue
            if not self._stands_still:
                _log.warning("the database stands still; its connections are given up")
            self._stands_still = True
            self._shut_down()

    def _answers(self) -> bool:
        """Whether the server says anything, be it a refusal."""
        begun = time.monotonic()
        try:
            self._connect().close()
        except self._failures:
            return time.monotonic() - begun < 0.8 * ANSWERS_S
        return True

    def _shut_down(self) -> None:
        with self._lock:
            connections, self._connections = list(self._connections), weakref.WeakSet()
        for connection in connections:
            with contextlib.suppress(*self._failures, AttributeError), _socket_of(connection) as held:
                held.shutdown(socket.SHUT_RDWR)


def _socket_of(connection: Any) -> socket.socket:
    """Return the socket of a connection of psycopg, or of PyMySQL, which has no name for it."""
    numbered = connection if hasattr(connection, "fileno") else connection._sock
    return socket.socket(fileno=os.dup(numbered.fileno()))
