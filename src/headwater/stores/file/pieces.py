"""The bytes of a file, in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator

from headwater.stores.store import StoreUnavailable


class FilePieces(Iterator[bytes]):
    """The bytes of one open file. Not a generator: one that nobody has begun never closes its file."""

    def __init__(self, store: str, descriptor: int, start: int, length: int | None, chunk_size: int) -> None:
        self._store, self._descriptor, self._position = store, descriptor, start
        self._left, self._chunk_size = length, chunk_size

    def __next__(self) -> bytes:
        want = self._chunk_size if self._left is None else min(self._left, self._chunk_size)
        if want <= 0 or self._descriptor < 0:
            self.close()
            raise StopIteration
        try:
            piece = os.pread(self._descriptor, want, self._position)
        except OSError as error:
            self.close()
            raise StoreUnavailable(self._store, str(error.strerror)) from error
        if not piece:
            self.close()
            raise StopIteration
        self._position += len(piece)
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Let go of the file, read to its end or not."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()
