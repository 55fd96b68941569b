"""A way to an HTTP server that is cut at requests that a test names: before they arrive, or before their answers."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Literal

Lost = Literal["request", "answer"]


class CutWay:
    """A port in front of a server on loopback."""

    def __init__(self, port: int, head: str, lost: Lost, cuts: int) -> None:
        """Take where the server listens, how a request begins that is cut (a regular expression), and how many are."""
        self._to, self._head, self._lost, self._cuts = port, re.compile(head.encode()), lost, cuts
        self.seen = 0  # requests that began so
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server, contextlib.suppress(OSError):
            cuts = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, cuts), daemon=True)
            back.start()
            while piece := client.recv(1 << 16):
                if self._head.match(piece):
                    self.seen += 1
                    if self.seen <= self._cuts and self._lost == "request":
                        return
                    if self.seen <= self._cuts:
                        cuts.set()
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def _answer(server: socket.socket, client: socket.socket, cuts: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(1 << 16):
                # Whoever waits for the bytes of a request is told to go on; its answer comes after that.
                if cuts.is_set() and not piece.startswith(b"HTTP/1.1 100"):
                    break
                client.sendall(piece)
            client.shutdown(socket.SHUT_RDWR)
