"""What time it is, as the catalogue keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # microseconds since 1970, UTC


def now() -> int:
    """Return the present time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000
