"""Whether load balancers are told to send nothing more, while all that comes is served as before.

They are told so when an operator says it (SIGUSR1, taken back by SIGUSR2), as long as a file is there, and for a while
before a stop. The supervisor finds out; its workers, which are forked from it, share a few bytes of memory with it.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
from pathlib import Path
from types import FrameType

_log = logging.getLogger(__name__)

BEGIN, END = signal.SIGUSR1, signal.SIGUSR2


_SIGNAL, _FILE, _STOP = range(3)  # bytes, each for one cause
_CAUSES = ("a signal", "the drain file", "a stop")


class Drain:
    """What the supervisor knows of it, and its workers read."""

    def __init__(self, file: Path | None = None) -> None:
        """Begin undrained; ``look`` finds the file."""
        self._file = file
        self._shared = mmap.mmap(-1, len(_CAUSES))
        self._logged = False

    @property
    def reason(self) -> str | None:
        """Why nothing more should be sent here, to be told to callers; ``None`` when it should."""
        if self._shared[_STOP]:
            return "The service stops"
        return "The service is drained by its operator" if any(self._shared[:]) else None

    def follow_signals(self) -> None:
        """Begin and end when the signals come to this process."""
        signal.signal(BEGIN, self._on_signal)
        signal.signal(END, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._shared[_SIGNAL] = number == BEGIN  # a handler must not write to the log: see ``look``

    def look(self) -> None:
        """Look whether the file is there, and log what has changed; to be called about once a second."""
        if self._file is not None:
            self._shared[_FILE] = os.path.exists(self._file)  # noqa: PTH110 - that of Path raises where this says no
        causes = [each for each, holds in zip(_CAUSES, self._shared[:], strict=True) if holds]
        if causes and not self._logged:
            _log.warning("drained: not ready for load balancers any more", extra={"by": ", ".join(causes)})
        elif self._logged and not causes:
            _log.warning("drained no more: ready for load balancers again")
        self._logged = bool(causes)

    def before_stop(self) -> None:
        """Begin, for good."""
        self._shared[_STOP] = True


def ignore_signals() -> None:
    """Leave them to the supervisor: an operator may send them to all processes of a service."""
    signal.signal(BEGIN, signal.SIG_IGN)
    signal.signal(END, signal.SIG_IGN)
