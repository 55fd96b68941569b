"""A mark in a file's own time of modification, by which the file shows whether somebody has touched it since.

The seconds stay what they are. The nanoseconds, as a multiple of 100, which is what file servers of Windows keep too,
follow from a text that is the file's own. Whoever writes into the file, or brings another in its place, sets the time
anew, and the mark is gone: by chance it is there again once in ten million times, and once in a thousand million where
a file system keeps every nanosecond. That finds accidents, not people who mean to deceive, nor a disk that forgets.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Final

STEP: Final = 100  # nanoseconds between the marks of one text
_SECOND: Final = 10**9


def mark_of(text: str, *, marks: int = 1) -> int:
    """Return the nanoseconds that are a text's own; never none at all, which is what a file without a mark has.

    Args:
        marks: How many the text has, this one and those that follow it by ``STEP``.
    """
    step = marks * STEP
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return (1 + number % (_SECOND // step - 1)) * step


def mark_in(state: os.stat_result) -> int:
    """Return the mark that a file has, if it has one."""
    return state.st_mtime_ns % _SECOND


def with_mark(at: int, mark: int) -> int:
    """Return a time, in nanoseconds since 1970, whose second is that of ``at``."""
    return at - at % _SECOND + mark


def set_now(file: int, mark: int) -> None:
    """Mark an open file as one that was written now; never in a time to come."""
    at = time.time_ns()
    marked = with_mark(at, mark)
    os.utime(file, ns=(at, marked if marked <= at else marked - _SECOND))


def keeps_marks(directory: Path | str, *, dir_fd: int | None = None) -> bool:
    """Return whether the file system of a directory keeps marks.

    Args:
        dir_fd: What ``directory`` is relative to.

    Raises:
        OSError: No file can be made and removed there.
    """
    name = f"{directory}/.mark-{os.getpid()}-{time.monotonic_ns()}"
    mark = mark_of(name)
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
    try:
        with contextlib.suppress(OSError):
            set_now(file, mark)
    finally:
        os.close(file)
        state = os.stat(name, dir_fd=dir_fd)
        os.unlink(name, dir_fd=dir_fd)
    return mark_in(state) == mark
