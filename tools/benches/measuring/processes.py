"""What processes have used, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return ``pid`` and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the seconds of processor time, user and system, that the processes have used so far."""
    ticks = 0
    for pid in pids:
        # The second field is the command in parentheses, which may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def written(pids: Iterable[int]) -> int:
    """Return the bytes that the processes have sent to disks so far, whatever of them is still in the page cache."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines():
            if line.startswith("write_bytes:"):
                total += int(line.split()[1])
    return total


def resident(pids: Iterable[int]) -> int:
    """Return the bytes of memory that the processes have now, pages that they share counted for each."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def peak_resident(pids: Iterable[int]) -> int:
    """Return the sum of the most bytes that each has had since its start or ``forget_peak``."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def forget_peak(pids: Iterable[int]) -> None:
    """Let ``peak_resident`` begin anew; where the kernel does not, the peak since the start stays."""
    for pid in pids:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0
