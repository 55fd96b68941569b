"""What time it is, as the catalogue keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], int]  # microseconds since 1970, UTC


def now() -> int:
    """Return the present time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def microseconds(moment: datetime | None) -> int | None:
    """Return a time, with its zone, as the catalogue keeps it; nothing of nothing."""
    return None if moment is None else int(moment.timestamp() * 1_000_000)
