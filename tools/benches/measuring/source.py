"""The bytes that are uploaded: one file in memory, sent over and over, so that reading it costs no disk."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SIZE = 64 << 20  # far larger than the caches of a processor; a multiple of PIECE
PIECE = 2 << 20  # what Headwater hands to hashes and store at once
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Source:
    """Random bytes: no format is found in them, and no disk can compress them."""

    descriptor: int
    memory: memoryview

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield ``size`` bytes, as an upload of that size sends them."""
        for start in range(0, size, PIECE):
            offset = start % SIZE
            yield self.memory[offset : offset + min(PIECE, size - start)]


@contextlib.contextmanager
def source() -> Iterator[Source]:
    """Make the file, in memory where there is such a file system, and remove it."""
    directory = _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(SIZE // PIECE):
            file.write(os.urandom(PIECE))
        file.flush()
        with mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as memory:
            yield Source(file.fileno(), memory)
