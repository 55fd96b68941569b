"""Time that a test moves."""

from __future__ import annotations

from contracts.image_catalogue import NOON


class Clock:
    """Stands at ``now``, in microseconds since 1970."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now
