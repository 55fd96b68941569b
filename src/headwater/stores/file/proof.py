"""What is known of the bytes of a file, kept as a mark in its time of modification (``time_marks.py``).

The mark follows from the key and the length: one says that the bytes were hashed and are right, the next one that they
are not. What a mark cannot find, ``store check --read`` does (``docs/decisions/0066-files-that-were-touched.md``).
"""

from __future__ import annotations

import contextlib
import os

from headwater import time_marks
from headwater.stores.store import Proof


def set_right(descriptor: int, key: str) -> None:
    """Mark a file whose bytes are right, now; a file system that lets nobody do so keeps no marks."""
    with contextlib.suppress(OSError):
        time_marks.set_now(descriptor, _mark(key, os.fstat(descriptor), is_right=True))


def proof_of(key: str, state: os.stat_result) -> Proof:
    """Return what the time of a file says of its bytes."""
    found = time_marks.mark_in(state)
    version = f"{state.st_dev}.{state.st_ino}.{state.st_size}.{state.st_mtime_ns}.{state.st_ctime_ns}"
    for is_right in (True, False):
        if found == _mark(key, state, is_right=is_right):
            return Proof(version, is_right)
    return Proof(version, None)


def set_proof(descriptor: int, key: str, read: Proof, *, is_right: bool) -> None:
    """Mark a file, unless it is another one than ``read``, or was touched since."""
    state = os.fstat(descriptor)
    if proof_of(key, state).version == read.version:
        mark = _mark(key, state, is_right=is_right)
        os.utime(descriptor, ns=(state.st_atime_ns, time_marks.with_mark(state.st_mtime_ns, mark)))


def keeps_marks(root: int) -> bool:
    """Return whether the file system of the store keeps them; where nothing can be written now, it is taken to."""
    try:
        return time_marks.keeps_marks("incoming", dir_fd=root)
    except OSError:
        return True


def _mark(key: str, state: os.stat_result, *, is_right: bool) -> int:
    right = time_marks.mark_of(f"{state.st_size} {key}", marks=2)
    return right if is_right else right + time_marks.STEP
