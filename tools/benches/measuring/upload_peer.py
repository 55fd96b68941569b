"""The peer of an upload: a thread that reads the socket, undoes the chunks, lets others hash and write; nothing else.

``python -m tools.benches.measuring.upload_peer DIRECTORY`` is its process. ``PUT /MD5/SHA512`` is answered 204 when
those are the digests of what came.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from tools.benches.measuring.connection import Address
from tools.benches.measuring.limits import HASHES, opened
from tools.benches.measuring.peers import serve, started
from tools.benches.measuring.source import PIECE

_BUFFERS = 4  # pieces of one upload
_HEAD = 64 << 10
_LINE = 20  # bytes: the size of a chunk in hex, and the line ends around it


def peer(directory: Path) -> AbstractContextManager[Address]:
    """Start the peer, which writes into ``directory``, and stop it."""
    return started("upload_peer", directory)


def _answer(directory: Path, connection: socket.socket, number: int) -> None:
    file = directory / f"peer-{number}"
    with connection:
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(_HEAD)
        head, _, first = received.partition(b"\r\n\r\n")
        wanted = head.split()[1].decode("ascii").split("/")[1:]
        length = None
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        try:
            works = _Works(file)
            _receive(connection, first, _Chunked() if length is None else _Sized(length), works)
            status = b"204 No Content" if works.digests() == wanted else b"409 Conflict"
        finally:
            file.unlink(missing_ok=True)
        connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)


class _Works:
    """Two hashes and a file, each in a thread that takes every piece."""

    def __init__(self, file: Path) -> None:
        self._hashes = [hashlib.new(name, usedforsecurity=False) for name in HASHES]
        self._descriptor, self._direct = opened(file)
        self._file = file
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()
        for _ in range(_BUFFERS):
            self._free.put(mmap.mmap(-1, PIECE))
        works: list[Callable[[memoryview], object]] = [*(each.update for each in self._hashes), self._write]
        self._queues: list[SimpleQueue[_Piece | None]] = [SimpleQueue() for _ in works]
        self._threads = [
            threading.Thread(target=self._run, args=pair, daemon=True) for pair in zip(works, self._queues, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> mmap.mmap:
        return self._free.get()

    def put(self, buffer: mmap.mmap, count: int) -> None:
        piece = _Piece(buffer, count, [None] * (len(self._queues) - 1))
        for queue in self._queues:
            queue.put(piece)

    def digests(self) -> list[str]:
        """Return the digests of what came, once it is on the disk."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        return [each.hexdigest() for each in self._hashes]

    def _run(self, work: Callable[[memoryview], object], queue: SimpleQueue[_Piece | None]) -> None:
        while (piece := queue.get()) is not None:
            work(memoryview(piece.buffer)[: piece.count])
            try:
                piece.others.pop()
            except IndexError:  # this was the last
                self._free.put(piece.buffer)

    def _write(self, view: memoryview) -> None:
        if self._direct and len(view) % mmap.PAGESIZE:
            os.close(self._descriptor)
            self._descriptor, self._direct = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), False
        while view:
            view = view[os.write(self._descriptor, view) :]


class _Piece:
    """A part of the stream, and a mark for each of those that work on it but the last."""

    def __init__(self, buffer: mmap.mmap, count: int, others: list[None]) -> None:
        self.buffer, self.count, self.others = buffer, count, others


def _receive(connection: socket.socket, first: bytes, body: _Sized | _Chunked, works: _Works) -> None:
    while not body.ended:
        buffer = works.take()
        with memoryview(buffer) as view:
            filled = 0
            while filled < PIECE and not body.ended:
                if first:
                    count = len(first)
                    view[:count], first = first, b""
                else:
                    count = connection.recv_into(view[filled:])
                if not count:
                    raise EOFError
                filled += body.undo(view[filled : filled + count])
        works.put(buffer, filled)


class _Sized:
    """A body with a length."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def ended(self) -> bool:
        return not self._left

    def undo(self, view: memoryview) -> int:
        self._left -= len(view)
        return len(view)


class _Chunked:
    """A body in chunks, of a client that is known to send nothing else: no extensions, no trailers."""

    def __init__(self) -> None:
        self._left = 0  # of the present chunk
        self._line = b""  # the beginning of what is between two chunks
        self.ended = False

    def undo(self, view: memoryview) -> int:
        """Move the data over what is between; return how many bytes are data."""
        filled = position = 0
        while position < len(view):
            if self._left:
                count = min(self._left, len(view) - position)
                if filled != position:
                    view[filled : filled + count] = view[position : position + count]
                filled, position, self._left = filled + count, position + count, self._left - count
                continue
            more, newline, _ = bytes(view[position : position + _LINE]).partition(b"\n")
            self._line += more
            position += len(more) + len(newline)
            if newline:
                line, self._line = self._line.rstrip(), b""
                if line:
                    self._left = int(line, 16)
                    self.ended = not self._left
        return filled


if __name__ == "__main__":
    serve(partial(_answer, Path(sys.argv[1])))
