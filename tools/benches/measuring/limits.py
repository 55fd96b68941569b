"""What this machine allows: the same hashes over the same pieces, the same writes, and nothing else."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.benches.measuring.source import PIECE, Source

HASHES = ("md5", "sha512")
_BUFFERS = 6


def seconds_together(works: Sequence[Callable[[], object]]) -> float:
    """Do all of it at the same time, each in a thread; return how long the last one took.

    Raises:
        Exception: What the first of them that failed raised.
    """
    with ThreadPoolExecutor(len(works)) as threads:
        started = time.perf_counter()
        running = [threads.submit(work) for work in works]
        for each in running:
            each.result()
        return time.perf_counter() - started


def hash_alone(source: Source, size: int, streams: int) -> tuple[float, tuple[str, str]]:
    """Hash ``streams`` uploads, each hash of each in a thread of its own.

    Returns:
        The seconds that it took, and MD5 and SHA-512 of one upload of ``size`` bytes.
    """
    hashes = [hashlib.new(name, usedforsecurity=False) for _ in range(streams) for name in HASHES]

    def work(each: hashlib._Hash) -> None:
        for piece in source.pieces(size):
            each.update(piece)

    seconds = seconds_together([lambda each=each: work(each) for each in hashes])  # type: ignore[misc]
    return seconds, (hashes[0].hexdigest(), hashes[1].hexdigest())


def write_alone(source: Source, size: int, streams: int, room: Path) -> float:
    """Write ``streams`` files of ``size`` bytes as the file store does and flush them; return the seconds."""
    files = [room / f"alone-{number}" for number in range(streams)]
    try:
        return seconds_together([lambda file=file: _write(source, size, file) for file in files])  # type: ignore[misc]
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _write(source: Source, size: int, file: Path) -> None:
    # Memory of our own, aligned to pages, as the server's is.
    buffers = [mmap.mmap(-1, PIECE) for _ in range(_BUFFERS)]
    for buffer, piece in zip(buffers, source.pieces(_BUFFERS * PIECE), strict=True):
        buffer[:] = piece
    descriptor, direct = opened(file)
    try:
        for view in _views(buffers, size):
            if direct and len(view) % mmap.PAGESIZE:
                os.close(descriptor)
                descriptor, direct = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), False
            written = 0
            while written < len(view):
                written += os.write(descriptor, view[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _views(buffers: Sequence[mmap.mmap], size: int) -> Iterator[memoryview]:
    for number, start in enumerate(range(0, size, PIECE)):
        yield memoryview(buffers[number % len(buffers)])[: min(PIECE, size - start)]


def opened(file: Path) -> tuple[int, bool]:
    """Open past the page cache, where the file system allows it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(file, flags | os.O_DIRECT, 0o600), True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(file, flags, 0o600), False
