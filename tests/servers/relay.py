"""A way to a server that a test can cut, or let hang, and open again."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay:
    """Listens on a port of loopback and passes connections on to another."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: set[socket.socket] = set()
        self._clients: set[socket.socket] = set()
        self._dying: set[socket.socket] = set()
        self._pumps: list[threading.Thread] = []
        self._cut = self._hangs = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def clients(self) -> int:
        """How many connections clients hold."""
        return len(self._clients & self._held)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End all connections, and end new ones at once, as a server does that has stopped."""
        self._cut = True
        self._end_all()
        try:
            yield
        finally:
            self._cut = False

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Take new connections, and never answer."""
        self._hangs = True
        self._end_all()
        try:
            yield
        finally:
            self._hangs = False
            self._end_all()

    def let_idle_ones_die(self) -> int:
        """End each connection that is there when something more comes on it; return how many there are.

        So does a service that gives up idle connections at the moment in which a client uses one again.
        """
        self._dying |= self._clients & self._held
        return len(self._dying)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        for each in list(self._held):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for pump in list(self._pumps):
            pump.join()
        while self._held:
            self._held.pop().close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._cut:
                client.close()
                continue
            self._held.add(client)
            self._clients.add(client)
            if self._hangs:
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._held.add(server)
            for source, sink in ((client, server), (server, client)):
                pump = threading.Thread(target=self._pass_on, args=(source, sink), daemon=True)
                self._pumps.append(pump)
                pump.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (piece := source.recv(65536)) and source not in self._dying:
                sink.sendall(piece)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
