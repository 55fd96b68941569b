"""One object on its way in parts: each is sent by a thread while the next is filled.

A service takes an object in a limited number of parts, and how long the object becomes is often known only at its
end. So parts grow with their number (``growing``): those of an object of any length are few enough, and those of most
objects are small. All that is in memory is ``MEMORY`` at most; parts too large for that, which only objects of
hundreds of GiB have, wait in files without names.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Generic, TypeVar

MEMORY = 64 << 20  # bytes that the parts of one object take in memory
LARGEST = 5 << 30  # bytes of one part, as Amazon's S3 has it

_MIB = 1 << 20

Body = bytearray | IO[bytes]

T = TypeVar("T")


def growing(number: int, first: int, most: int) -> int:
    """Return how large a part is, so that ``most`` parts hold an object of any length (with 10 000: 6 TiB and more).

    The first three fifths fit into memory: with parts of 8 MiB first and 10 000 of them, 150 GiB.

    Args:
        number: Which part, counted from 1.
        first: How large the first one is.
        most: How many there may be.
    """
    percent = (number - 1) * 100 // most
    doublings = 0 if percent < 10 else 1 if percent < 20 else 2 if percent < 60 else 3 + (percent - 60) // 5
    return min(first << doublings, LARGEST)


def even(size: int, first: int, most: int) -> int:
    """Return how large all parts of an object of ``size`` bytes are, as some services want it; at least ``first``."""
    return max(first, -(-size // most // _MIB) * _MIB)


class TooManyParts(Exception):
    """The object would need more parts than the service takes."""


class Parts(Generic[T]):
    """The parts of one object. Used by one thread at a time."""

    def __init__(
        self,
        send: Callable[[int, Body], T],
        size_of: Callable[[int], int],
        *,
        most: int,
        threads: int,
        directory: Path,
        memory: int = MEMORY,
    ) -> None:
        """Take how a part is sent; no part is sent before it is full and more comes, or before ``finish``.

        Args:
            send: Called in several threads, with the number of a part, counted from 1, and its bytes.
            size_of: How large a part of this number is.
            most: How many parts there may be.
            threads: How many parts are sent at the same time.
            directory: Where parts wait that are too large for memory.
        """
        self._send, self._size_of = send, size_of
        self._most, self._threads, self._directory, self._memory = most, threads, directory, memory
        self._executor = ThreadPoolExecutor(threads, "headwater-parts")
        self._sent: list[Future[T]] = []
        self._on_the_way: dict[Future[T], int] = {}  # what each takes in memory
        self._filling: _InMemory | _InFile | None = None

    @property
    def any_sent(self) -> bool:
        """Whether a part was sent or is on its way."""
        return bool(self._sent)

    def write(self, view: memoryview) -> None:
        """Append bytes; waits while there is no room for another part.

        Raises:
            TooManyParts: There are too many.
            OSError: A part has no room in the directory.
        """
        while view.nbytes:
            if self._filling is not None and self._filling.is_full:
                self._send_off(self._filling)
            if self._filling is None:
                self._filling = self._next()
            view = view[self._filling.take(view) :]

    def only(self) -> Body:
        """Return all bytes of an object of which no part was sent."""
        return bytearray() if self._filling is None else self._filling.body()

    def finish(self) -> list[T]:
        """Send the rest, and return what sending each part gave, in their order."""
        if self._filling is not None:
            self._send_off(self._filling)
        results = [each.result() for each in self._sent]
        self.stop()
        return results

    def stop(self) -> None:
        """Return when no part is on its way any more; those that nobody sends yet never are."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._filling is not None:
            self._filling.close()
            self._filling = None

    def _send_off(self, filling: _InMemory | _InFile) -> None:
        number = len(self._sent) + 1

        def send() -> T:
            try:
                return self._send(number, filling.body())
            finally:
                filling.close()

        self._filling = None
        self._sent.append(self._executor.submit(send))
        self._on_the_way[self._sent[-1]] = filling.memory

    def _next(self) -> _InMemory | _InFile:
        """Return an empty part, when there is room for it and a thread to send it."""
        if len(self._sent) >= self._most:
            raise TooManyParts
        size = self._size_of(len(self._sent) + 1)
        fits = size * 2 <= self._memory
        while self._on_the_way and (
            len(self._on_the_way) >= self._threads
            or (sum(self._on_the_way.values()) + size > self._memory if fits else True)
        ):
            done, _ = wait(self._on_the_way, return_when=FIRST_COMPLETED)
            for each in done:
                del self._on_the_way[each]
                each.result()  # raises what its sending did
        return _InMemory(size) if fits else _InFile(size, self._directory)


class _InMemory:
    """A part that is being filled, or full."""

    def __init__(self, size: int) -> None:
        self._bytes = bytearray(size)
        self._count, self.memory = 0, size

    @property
    def is_full(self) -> bool:
        return self._count == len(self._bytes)

    def take(self, view: memoryview) -> int:
        """Append what has room, and return how much that is."""
        count = min(view.nbytes, len(self._bytes) - self._count)
        self._bytes[self._count : self._count + count] = view[:count]
        self._count += count
        return count

    def body(self) -> bytearray:
        del self._bytes[self._count :]
        return self._bytes

    def close(self) -> None:
        """Let go of the memory, whoever else still knows of the part."""
        self._bytes = bytearray()


class _InFile:
    """The same, in a file that is gone when nobody has it open."""

    memory = 0

    def __init__(self, size: int, directory: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - closed with the part
        self._room = size

    @property
    def is_full(self) -> bool:
        return self._room == 0

    def take(self, view: memoryview) -> int:
        count: int = self._file.write(view[: self._room])
        self._room -= count
        return count

    def body(self) -> IO[bytes]:
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
