"""Who writes an upload, and whether that process still lives.

A writer's name says on which boot of which machine, in which process namespace, and as which process it
runs. A reader on the same boot and in the same namespace can tell at once that the process is gone; any
other has to wait until the lease, which the writer renews, has run out.
"""

from __future__ import annotations

import os
from pathlib import Path

LEASE_S = 60
RENEW_EVERY_S = 15

_ENDED = frozenset("ZXx")  # states of proc(5): zombie, dead


def writer_name() -> str:
    """Return the name of this process as a writer."""
    return f"{_place()}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(writer: str) -> bool:
    """Return whether ``writer`` is certainly gone; ``False`` also when that cannot be told from here."""
    place, _, process = writer.partition("/")
    if place != _place():
        return False
    pid, _, started = process.partition("/")
    return not pid.isdigit() or _started(int(pid)) != started


def _place() -> str:
    """Name the boot and the process namespace: where a process number means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return f"unknown-{os.getpid()}"
    return f"{boot}:{namespace}"


def _started(pid: int) -> str:
    """Return when process ``pid`` started, in the kernel's ticks; empty when there is none that runs."""
    try:
        # The second field is the command in parentheses, which may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # One that has ended keeps its number until its parent, or whoever is process 1, asks for it.
        return "" if fields[0] in _ENDED else fields[19]
    except (OSError, IndexError):
        return ""
