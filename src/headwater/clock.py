"""What time it is, as the catalogue keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

Clock = Callable[[], int]  # microseconds since 1970, UTC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the present time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def microseconds(moment: datetime | None) -> int | None:
    """Return a time, with its zone, as the catalogue keeps it; nothing of nothing."""
    return None if moment is None else int(moment.timestamp() * 1_000_000)


def timestamp(at: int) -> str:
    """Return microseconds since 1970 as OpenStack writes times: UTC, whole seconds, ``Z``."""
    return _second(at // 1_000_000)


def rfc2822(at: int) -> str:
    """Return microseconds since 1970 as feeds write times; MAAS takes ``+0000`` for the zone and refuses ``GMT``."""
    return format_datetime(datetime.fromtimestamp(at // 1_000_000, UTC))


@lru_cache(8192)
def _second(since_epoch: int) -> str:
    return (_EPOCH + timedelta(seconds=since_epoch)).strftime("%Y-%m-%dT%H:%M:%SZ")
