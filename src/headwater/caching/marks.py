"""A file of a cache shows that somebody touched it: by its time of modification, whose nanoseconds its name chooses.

Whoever writes into the file, or brings another in its place, sets the time anew. That finds accidents, not people who
mean to deceive, nor a disk that forgets. The store of type ``file`` knows its objects in the same way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

_SECOND = 10**9
_STEP = 100  # nanoseconds: file servers of Windows keep no less


def mark(file: int, name: str) -> None:
    """Mark an open file whose bytes are right, now."""
    at = time.time_ns()
    marked = at - at % _SECOND + _nanoseconds(name)
    os.utime(file, ns=(at, marked if marked <= at else marked - _SECOND))


def is_marked(name: str, about: os.stat_result) -> bool:
    """Return whether nobody has touched the file since it was marked."""
    return about.st_mtime_ns % _SECOND == _nanoseconds(name)


def keeps_marks(directory: Path) -> bool:
    """Return whether the file system of the directory keeps such times."""
    path = directory / f".mark-{os.getpid()}-{time.monotonic_ns()}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):
            mark(file, path.name)
        return is_marked(path.name, path.stat())
    finally:
        os.close(file)
        path.unlink()


def _nanoseconds(name: str) -> int:
    """Return those of one file; never none at all, which is what a file without them has."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return (1 + number % (_SECOND // _STEP - 1)) * _STEP
