"""A web server on loopback whose answers a test writes itself, byte by byte where it matters."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SendBytes = Callable[[bytes], None]


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case


Answer = Callable[[Asked, SendBytes], None]


def content(data: bytes, *, ranges: bool = True, head: bool = True) -> Answer:
    """Return how a good server answers for ``data``: with ranges and HEAD, or without."""

    def answer(asked: Asked, send: SendBytes) -> None:
        if asked.method == "HEAD" and not head:
            send(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")
            return
        wanted = asked.headers.get("range")
        if not ranges or wanted is None:
            send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
            if asked.method != "HEAD":
                send(data)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data)), len(data) - 1)
        if start >= len(data):
            send(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */%d\r\n" % len(data))
            send(b"Content-Length: 0\r\n\r\n")
            return
        part = data[start : end + 1]
        send(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n" % (start, end, len(data)))
        send(b"Content-Length: %d\r\n\r\n" % len(part) + part)

    return answer


def redirect(to: str, status: int = 302) -> Answer:
    """Return how a server answers that sends its client elsewhere."""
    return lambda _asked, send: send(b"HTTP/1.1 %d Over there\r\nLocation: %s\r\n\r\n" % (status, to.encode()))


class WebServer:
    """Listens on a port of loopback; ``pages`` says what each path answers, ``asked`` what came."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self._tls = tls
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self._held: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for each in list(self._held):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._held.add(connection)
        try:
            with contextlib.suppress(OSError):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                asked = _read(connection)
                if asked is not None:
                    self.asked.append(asked)
                    page = self.pages.get(asked.path.partition("?")[0], _missing)
                    page(asked, _says_close(connection.sendall))
                    if asked.headers.get("content-length", "0") != "0":
                        _linger(connection)
        finally:
            self._held.discard(connection)
            connection.close()


def _says_close(send: SendBytes) -> SendBytes:
    """Return what sends an answer that says that its connection ends with it, so that no client asks there again."""
    is_begun = False

    def sending(data: bytes) -> None:
        nonlocal is_begun
        if not is_begun and data.startswith(b"HTTP/1.1 "):
            first, end, rest = data.partition(b"\r\n")
            data = first + end + (b"Connection: close\r\n" if end else b"") + rest
        is_begun = True
        send(data)

    return sending


def _linger(connection: socket.socket) -> None:
    """Let a client that still sends a body read the answer, which a connection closed over unread bytes would lose."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(2)
    while connection.recv(65536):
        pass


def _missing(_asked: Asked, send: SendBytes) -> None:
    send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def _read(connection: socket.socket) -> Asked | None:
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            return None
        head += more
    first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Asked(method, path, {name.lower(): value.strip() for name, _, value in pairs})


@contextlib.contextmanager
def web_server(address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    server = WebServer(address, tls)
    try:
        yield server
    finally:
        server.close()
