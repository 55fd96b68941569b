"""A client of HTTP/1.1 that costs little, because it shares the processors with what it measures.

It knows what Headwater sends and no more: answers with a Content-Length, or without a body.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from tools.benches.failure import BenchFailed

Address = tuple[str, int]

_READ = 1 << 20
_CHUNK = 64 << 10  # what the clients of OpenStack send at once
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an answer."""

    status: int
    length: int  # bytes of its body
    first: bytes  # of these, what came with it


class Connection:
    """One connection, kept alive; used by one thread."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: int = 300,
        receive_buffer: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connect.

        Args:
            headers: Sent with every request.
            receive_buffer: Bytes that the kernel may hold for us; ``None`` lets it choose.
        """
        self._host = f"{address[0]}:{address[1]}"
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_buffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            # Timeouts of the kernel: Python's own would cost a poll before every call.
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", timeout_s, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        self._buffer = memoryview(bytearray(_READ))

    def close(self) -> None:
        self.socket.close()

    # --- Small requests --------------------------------------------------------------------------

    def get(self, path: str) -> bytes:
        """Return the body of a 200.

        Raises:
            BenchFailed: The answer is another.
            OSError: There is none.
        """
        return self.call("GET", path, expected=200)

    def call(self, method: str, path: str, document: object = None, *, expected: int) -> bytes:
        """Send a request, with a JSON document if there is one, and return the answer's body."""
        body = b"" if document is None else msgspec.json.encode(document)
        headers = "" if document is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall(self._head(method, path, headers) + body)
        answer = self._receive_all()
        if answer[0] != expected:
            raise BenchFailed(f"{method} {path} was answered {answer[0]}, not {expected}: {answer[1][:300]!r}")
        return answer[1]

    # --- Data ------------------------------------------------------------------------------------

    def upload(self, path: str, source: int, source_size: int, size: int, *, chunked: bool = False) -> None:
        """Send ``size`` bytes to ``path`` without seeing them: those of the file ``source``, over and over."""
        framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {size}\r\n"
        self.socket.sendall(self._head("PUT", path, f"Content-Type: application/octet-stream\r\n{framing}"))
        left = size
        while left:
            offset = (size - left) % source_size
            count = min(left, source_size - offset, _CHUNK if chunked else source_size)
            if chunked:
                self.socket.sendall(b"%x\r\n" % count, socket.MSG_MORE)
            self._send_part(source, offset, count)
            if chunked:
                self.socket.sendall(b"\r\n", socket.MSG_MORE)
            left -= count
        if chunked:
            self.socket.sendall(b"0\r\n\r\n")
        status, body = self._receive_all()
        if status != 204:
            raise BenchFailed(f"PUT {path} was answered {status}: {body[:300]!r}")

    def download(self, path: str, span: range | None = None) -> int:
        """Receive the bytes at ``path``, or those of ``span``; return how many there were."""
        head = self.begin_download(path, span)
        received = len(head.first)
        while received < head.length:
            count = self.socket.recv_into(self._buffer)
            if not count:
                raise BenchFailed(f"GET {path} broke off after {received} of {head.length} bytes")
            received += count
        return received

    def begin_download(self, path: str, span: range | None = None) -> Head:
        """Ask for the bytes at ``path`` and read no further than the answer's head."""
        headers = "" if span is None else f"Range: bytes={span.start}-{span.stop - 1}\r\n"
        self.socket.sendall(self._head("GET", path, headers))
        head = self._receive_head()
        if head.status != (200 if span is None else 206):
            raise BenchFailed(f"GET {path} was answered {head.status}: {head.first[:300]!r}")
        return head

    # --- Below -----------------------------------------------------------------------------------

    def _head(self, method: str, path: str, headers: str) -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{self._headers}{headers}\r\n".encode("ascii")

    def _send_part(self, source: int, offset: int, count: int) -> None:
        while count:
            sent = os.sendfile(self.socket.fileno(), source, offset, count)
            offset += sent
            count -= sent

    def _receive_head(self) -> Head:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError(f"{self._host} closed the connection before its answer")
            received += piece
        head, _, first = received.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                raise BenchFailed("an answer of unknown length is nothing that the benches ask for")
        return Head(status, 0 if status in _BODILESS else length, first)

    def _receive_all(self) -> tuple[int, bytes]:
        head = self._receive_head()
        pieces, received = [head.first], len(head.first)
        while received < head.length:
            piece = self.socket.recv(65536)
            if not piece:
                raise ConnectionResetError(f"{self._host} closed the connection within its answer")
            pieces.append(piece)
            received += len(piece)
        return head.status, b"".join(pieces)
