"""Bytes on their way into an image and out of one, several pieces at the same time."""

from __future__ import annotations

import contextlib
import errno
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from headwater.stores.rbd.cluster import Cluster

GROWS_BY = 1 << 30  # bytes, when nobody knows how many there will be; the rest is cut off at the end
_PIECE, _AHEAD = 2 << 20, 4  # bytes read at once, and so many pieces ahead


class ImageInput:
    """Writes an image from its beginning to its end, with a bounded number of pieces under way."""

    def __init__(self, cluster: Cluster, image: Any, chunk_size: int, most: int, *, thin: bool) -> None:
        """Take an open image.

        Args:
            most: How many pieces are under way at most.
            thin: Leave out what is zeros only.
        """
        self._cluster, self._image = cluster, image
        self._chunk_size, self._most, self._thin = chunk_size, most, thin
        self._chunk = bytearray(chunk_size)
        self._filled = 0
        self._sent = 0
        self._size = image.size()
        # With their memory: whether the library makes a copy is a setting of Ceph's.
        self._under_way: deque[tuple[Any, bytearray]] = deque()

    @property
    def size(self) -> int:
        """How many bytes there are by now."""
        return self._sent + self._filled

    def write(self, piece: memoryview) -> None:
        while piece:
            count = min(len(piece), self._chunk_size - self._filled)
            self._chunk[self._filled : self._filled + count] = piece[:count]
            self._filled += count
            piece = piece[count:]
            if self._filled == self._chunk_size:
                self._send()

    def finish(self) -> None:
        """Return when all bytes are in the pool, and the image has their size."""
        if self._filled:
            del self._chunk[self._filled :]
            self._send()
        while self._under_way:
            self._wait()
        if self._size != self._sent:
            self._image.resize(self._sent)

    def drop(self) -> None:
        """Wait until nothing is under way, however it went."""
        while self._under_way:
            self._under_way.popleft()[0].wait_for_complete_and_cb()

    def _send(self) -> None:
        chunk, self._chunk = self._chunk, bytearray(self._chunk_size)
        start, self._sent, self._filled = self._sent, self._sent + len(chunk), 0
        if self._sent > self._size:
            self._size = max(self._sent, self._size + GROWS_BY)
            self._image.resize(self._size)
        if self._thin and chunk == bytes(len(chunk)):
            return
        if len(self._under_way) >= self._most:
            self._wait()
        self._under_way.append((self._image.aio_write(chunk, start, None), chunk))

    def _wait(self) -> None:
        completion, _ = self._under_way.popleft()
        completion.wait_for_complete_and_cb()
        result = completion.get_return_value()
        if result < 0:
            raise self._cluster.error(-result, f"a piece could not be written: error {-result}")


class ImageOutput(Iterator[bytes]):
    """The bytes of an open image from one offset to another, read ahead; it closes the image."""

    def __init__(
        self,
        cluster: Cluster,
        image: Any,
        held: contextlib.ExitStack,
        *,
        start: int,
        end: int,
        closed: Callable[[], None],
    ) -> None:
        """Take an open image.

        Args:
            held: What the image was opened of; closed after it.
            closed: Called when all is closed.
        """
        self._cluster, self._image, self._held, self._closed = cluster, image, held, closed
        self._next, self._end = start, end
        self._under_way: deque[_Reading] = deque()
        self._is_open = True

    def __next__(self) -> bytes:
        if not self._is_open:
            raise StopIteration
        try:
            piece = self._piece()
        except BaseException:
            self._closed = _nothing  # a cluster that just failed is not asked for more
            self.close()
            raise
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def _piece(self) -> bytes:
        """Return the next piece, and ask for more; an empty one at the end."""
        with self._cluster.translated():
            while len(self._under_way) < _AHEAD and self._next < self._end:
                # Never across a boundary of pieces, so that each lies in one object of the pool.
                count = min(_PIECE - self._next % _PIECE, self._end - self._next)
                self._under_way.append(_Reading(self._image, self._next, count))
                self._next += count
            return self._under_way.popleft().data(self._cluster) if self._under_way else b""

    def close(self) -> None:
        """Let go of the image."""
        if not self._is_open:
            return
        self._is_open = False
        while self._under_way:
            self._under_way.popleft().drop()
        with contextlib.suppress(*self._cluster.errors):
            self._image.close()
        self._held.close()
        self._closed()

    def __del__(self) -> None:
        self.close()


def _nothing() -> None:
    """Do nothing."""


class _Reading:
    """One piece that is asked for."""

    def __init__(self, image: Any, start: int, count: int) -> None:
        self._data: bytes | None = None
        self._count = count
        self._completion = image.aio_read(start, count, self._keep)

    def _keep(self, _completion: Any, data: bytes | None) -> None:
        self._data = data

    def data(self, cluster: Cluster) -> bytes:
        self._completion.wait_for_complete_and_cb()
        result = self._completion.get_return_value()
        if result < 0:
            raise cluster.error(-result, f"a piece could not be read: error {-result}")
        if self._data is None or len(self._data) != self._count:
            raise cluster.error(errno.EIO, "a piece came back short")
        return self._data

    def drop(self) -> None:
        self._completion.wait_for_complete_and_cb()
