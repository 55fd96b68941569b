"""Who writes an upload, and whether that process still lives.

A writer's name says on which boot of which machine, in which process namespace, and as which process it
runs. A reader on the same boot and in the same namespace can tell whether the process lives, and goes by that alone:
neither a clock that steps nor a process that stands still for a while takes work from one that lives. (One that
stands still for good is ended by its supervisor.) Any other reader has to wait until the lease, which the writer
renews, has run out.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

LEASE_S = 60
RENEW_EVERY_S = 15

_ENDED = frozenset("ZXx")  # states of proc(5): zombie, dead


class Life(Enum):
    """What can be told of a writer from here."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"  # it runs elsewhere: only its lease tells


def writer_name() -> str:
    """Return the name of this process as a writer."""
    return f"{_place()}/{os.getpid()}/{_started(os.getpid())}"


def life_of(writer: str) -> Life:
    """Return what can be told of ``writer`` from here."""
    place, _, process = writer.partition("/")
    if place != _place():
        return Life.UNKNOWN
    pid, _, started = process.partition("/")
    return Life.ALIVE if pid.isdigit() and started and _started(int(pid)) == started else Life.DEAD


def is_dead(writer: str) -> bool:
    """Return whether ``writer`` is certainly gone; ``False`` also when that cannot be told from here."""
    return life_of(writer) is Life.DEAD


def is_free(writer: str, expires_at: int, now: int) -> bool:
    """Return whether others may take what ``writer`` holds under a lease until ``expires_at``."""
    life = life_of(writer)
    return life is Life.DEAD or (life is Life.UNKNOWN and expires_at < now)


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
