"""What is known of the bytes of a file, kept in the file's own time of modification.

Its seconds stay what they are. The nanoseconds, as a multiple of 100, which is what file servers of Windows keep too,
follow from the key and the length: one number says that the bytes were hashed and are right, the next one that they are
not. Whoever writes into the file, or brings another in its place, sets the time anew, and with it goes what was known:
by chance it says the same once in ten million times, and once in a thousand million where a file system keeps
every nanosecond. That finds accidents, not people who mean to deceive, nor a disk that forgets: ``store check --read``
does (``docs/decisions/0066-files-that-were-touched.md``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time

from headwater.stores.store import Proof

_SECOND = 10**9
_STEP = 200  # between the marks of two objects; those of one are half of it apart


def set_right(descriptor: int, key: str) -> None:
    """Mark a file whose bytes are right, now; a file system that lets nobody do so keeps no marks."""
    at, state = time.time_ns(), os.fstat(descriptor)
    marked = _with(at, _mark(key, state.st_size, is_right=True))
    with contextlib.suppress(OSError):
        os.utime(descriptor, ns=(at, marked if marked <= at else marked - _SECOND))


def proof_of(key: str, state: os.stat_result) -> Proof:
    """Return what the time of a file says of its bytes."""
    found = state.st_mtime_ns % _SECOND
    version = f"{state.st_dev}.{state.st_ino}.{state.st_size}.{state.st_mtime_ns}.{state.st_ctime_ns}"
    for is_right in (True, False):
        if found == _mark(key, state.st_size, is_right=is_right):
            return Proof(version, is_right)
    return Proof(version, None)


def set_proof(descriptor: int, key: str, read: Proof, *, is_right: bool) -> None:
    """Mark a file, unless it is another one than ``read``, or was touched since."""
    state = os.fstat(descriptor)
    if proof_of(key, state).version == read.version:
        mark = _mark(key, state.st_size, is_right=is_right)
        os.utime(descriptor, ns=(state.st_atime_ns, _with(state.st_mtime_ns, mark)))


def keeps_marks(root: int) -> bool:
    """Return whether the file system of the store keeps them; where nothing can be written now, it is taken to."""
    name = f"incoming/.proof-{os.getpid()}-{time.monotonic_ns()}"
    with contextlib.suppress(OSError):
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=root)
        try:
            set_right(descriptor, name)
        finally:
            os.close(descriptor)
            found = proof_of(name, os.stat(name, dir_fd=root))
            os.unlink(name, dir_fd=root)
        return found.is_right is True
    return True


def _mark(key: str, size: int, *, is_right: bool) -> int:
    """Return the nanoseconds of a second that say it; never none at all, which is what a file without them has."""
    digest = hashlib.sha256(f"{size} {key}".encode()).digest()
    number = 1 + int.from_bytes(digest[:8], "big") % (_SECOND // _STEP - 1)
    return number * _STEP + (0 if is_right else _STEP // 2)


def _with(at: int, mark: int) -> int:
    return at - at % _SECOND + mark
