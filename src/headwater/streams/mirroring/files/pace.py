"""How fast data is fetched, over all connections together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets so many bytes a second pass, whoever fetches them; safe to use from several threads."""

    def __init__(
        self,
        bytes_per_s: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Begin now; ``None``: as fast as it goes."""
        self._rate, self._clock, self._sleep = bytes_per_s, clock, sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def spend(self, size: int) -> None:
        """Return when ``size`` bytes more may have passed."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size / self._rate
            wait = self._free_at - now
        self._sleep(wait)
