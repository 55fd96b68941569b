"""Who writes an upload, and whether that process still lives.

A writer's name says on which boot of which machine, in which process namespace, and as which process it
runs. A reader on the same boot and in the same namespace can tell whether the process lives, and goes by that alone:
neither a clock that steps nor a process that stands still for a while takes work from one that lives. (One that
stands still for good is ended by its supervisor.) Any other reader has to wait until the lease, which the writer
renews, has run out. One that lies further ahead than a lease can was told by a clock that was ahead: it is over when
nobody has renewed it for as long as a lease is, whatever the time says (``StandingStill``).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

LEASE_S = 60
RENEW_EVERY_S = 15
ASTRAY_S = 300  # how far clocks may be apart until it is taken for a clock that went back

_ENDED = frozenset("ZXx")  # states of proc(5): zombie, dead

K = TypeVar("K", bound=Hashable)


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


def latest(now: int) -> int:
    """Return the last time, in microseconds since 1970, at which a lease can end that somebody renews now."""
    return now + (LEASE_S + ASTRAY_S) * 1_000_000


class StandingStill(Generic[K]):
    """Leases that lie too far ahead, and since when they have not moved; safe to use from several threads.

    Who lives renews several times in ``LEASE_S``, also where its clock is ahead. So what has stood still for that time,
    by a clock of this process that never steps, is held by nobody.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[K, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def over(self, ends: Mapping[K, int], now: int) -> frozenset[K]:
        """Return those that are over.

        Args:
            ends: When each lease ends that somebody has at this moment, all of them, in microseconds since 1970.
        """
        ahead, at = {key: end for key, end in ends.items() if end > latest(now)}, self._clock()
        with self._lock:
            before = self._since
            self._since = {
                key: before[key] if key in before and before[key][0] == end else (end, at) for key, end in ahead.items()
            }
            return frozenset(key for key, (_, since) in self._since.items() if at - since > LEASE_S)


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
