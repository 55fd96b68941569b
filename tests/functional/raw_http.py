"""Requests that a client library would not send: halves of bodies, and connections that end."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

LIMIT_S = 60


class HalfRequest:
    """One request whose body is sent piece by piece; its connection is closed at the end of ``with``."""

    def __init__(
        self, url: str, method: str, path: str, *, length: int | None, headers: dict[str, str] | None = None
    ) -> None:
        """Send the head of a request.

        Args:
            length: What Content-Length says; ``None`` sends the body in chunks.
            headers: More headers; the body's type is that of an image's data unless they say otherwise.
        """
        place = urlsplit(url)
        self._chunked = length is None
        self._socket = socket.create_connection((place.hostname or "", place.port or 80), LIMIT_S)
        lines = {
            "Host": place.netloc,
            "Content-Type": "application/octet-stream",
            **({"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}),
            **(headers or {}),
        }
        head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
        self._socket.sendall("\r\n".join(head).encode())

    def send(self, data: bytes) -> None:
        """Send more of the body."""
        self._socket.sendall(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    def end(self, trailer: str = "") -> None:
        """Say that the body is complete; with a length it is by itself.

        Args:
            trailer: One line that follows the last chunk.
        """
        if self._chunked:
            end = "\r\n" if trailer else ""
            self._socket.sendall(f"0\r\n{trailer}{end}\r\n".encode())

    def status(self) -> int:
        """Return the status of the answer, once it is there."""
        return int(self.answer().split(b" ", 2)[1])

    def answer(self) -> bytes:
        """Return the answer as far as its head, or all of it when the connection ends before that."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self._socket.recv(65536)
            if not more:
                break
            received += more
        return received

    def end_side(self) -> None:
        """Say that nothing more will be sent; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def leave(self, *, rudely: bool) -> None:
        """Close the connection: in order, or as a machine that lost power (RST)."""
        if rudely:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()
