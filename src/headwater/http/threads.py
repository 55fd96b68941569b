"""Threads for the work of requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from headwater.threads import Pool

T = TypeVar("T")


class InThread(Protocol):
    """Runs blocking work where it does not hold up other requests."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads by kind of work, so that one kind never starves another."""

    catalogue: Pool  # asks the catalogue
    transfers: Pool  # moves data
    web: Pool  # waits for web servers of others, which may be slow
