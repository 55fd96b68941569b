"""Where tests keep files that nobody reads again: in memory, where it has room for them.

A test waits for its disk again and again, which a service tells to keep each byte; no test ends a machine, so none
can tell the difference.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_OF_ALL = 8 << 30  # bytes; a run of all suites has less at any time
_UNIT = 1 << 10


def has_room(size: int) -> bool:
    """Return whether ``size`` bytes fit; containers often have little."""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= size and _available() >= size


def _available() -> int:
    """Return how much memory, in bytes, programs can still have."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * _UNIT for line in lines if line.startswith("MemAvailable:"))


def take_temporary_files() -> None:
    """Let ``tmp_path`` lie there, in this process and in those that share its tests, unless somebody chose a place."""
    if has_room(ROOM_OF_ALL):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
