"""Gather pieces of data, as small or large as they come, into the buffers that the pipeline takes."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable
from contextlib import closing

from headwater.images.data.buffers import Buffers, ThreadBuffers
from headwater.images.data.pipeline import BUFFER
from headwater.images.data.session import Pieces, UploadSession


class Gathering:
    """The data of one stream on its way into buffers; used by one caller, to be closed."""

    def __init__(self, data: Pieces, buffers: Buffers) -> None:
        self._data = data
        self._buffers = buffers
        self._buffer: mmap.mmap | None = None
        self._filled = 0
        self._over = b""  # what came with the last piece and is of the next one

    @property
    def needs_buffer(self) -> bool:
        """Whether ``use`` has to be called before ``add``."""
        return self._buffer is None

    @property
    def is_over(self) -> bool:
        """Whether there is data that has no buffer."""
        return bool(self._over)

    def use(self, buffer: mmap.mmap) -> None:
        """Take the next buffer to fill."""
        buffer[: len(self._over)] = self._over
        self._buffer, self._filled, self._over = buffer, len(self._over), b""

    def room(self) -> memoryview:
        """Return the part of the buffer that is still to be filled, for ``filled``; to be released before that."""
        assert self._buffer is not None
        return memoryview(self._buffer)[self._filled :]

    def filled(self, count: int) -> None:
        """Count bytes that somebody has put into ``room``."""
        assert self._buffer is not None
        self._filled += count
        if self._filled >= BUFFER:
            self._over = self._buffer[BUFFER : self._filled]
            self._filled = BUFFER
            self.flush()

    def add(self, piece: bytes, offset: int) -> int:
        """Take of ``piece``, from ``offset`` on, what the buffer has room for; return how many bytes that is."""
        assert self._buffer is not None
        count = min(BUFFER - self._filled, len(piece) - offset)
        part = piece if count == len(piece) else piece[offset : offset + count]
        self._buffer[self._filled : self._filled + count] = part
        self.filled(count)
        return count

    def flush(self) -> None:
        """Hand over what there is."""
        if self._buffer is None:
            return
        buffer, self._buffer = self._buffer, None
        view = memoryview(buffer)[: self._filled]
        give_back = self._buffers.giver(buffer, view)
        try:
            self._data.put(view, give_back)
        except BaseException:
            give_back()
            raise

    def close(self) -> None:
        """Give a buffer back that was not handed over."""
        if self._buffer is not None:
            self._buffers.put(self._buffer)
            self._buffer = None


def pour(pieces: Iterable[bytes], data: Pieces, buffers: ThreadBuffers) -> None:
    """Hand all pieces to ``data``, gathered into buffers."""
    with closing(Gathering(data, buffers)) as gathering:
        for piece in pieces:
            offset = 0
            while offset < len(piece):
                if gathering.needs_buffer:
                    gathering.use(buffers.take())
                offset += gathering.add(piece, offset)
        gathering.flush()


def bring(pieces: Iterable[bytes], data: UploadSession, last_look: Callable[[], None] = lambda: None) -> None:
    """Make all pieces the data of an upload that was begun; leave nothing behind when that fails.

    Args:
        last_look: Called when all is stored; what it raises keeps that from being the image's data.
    """
    buffers = ThreadBuffers()
    try:
        data.prepare()
        pour(pieces, data, buffers)
        buffers.settle()
        last_look()
        data.finish()
    except BaseException:
        buffers.settle()
        data.abandon()
        raise
    finally:
        buffers.close()
