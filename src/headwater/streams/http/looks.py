"""One look at the catalogue for all requests that wait for one.

A request must see each change that was made before it came. So it takes the result of a look that began after it came,
which one thread takes for all that came meanwhile: thousands of requests in a second cost as many looks as one thread
has time for, and none of them a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from headwater.http.threads import InThread

T = TypeVar("T")


class Looks(Generic[T]):
    """What is now, as requests of one event loop ask for it."""

    def __init__(self, look: Callable[[], T], in_thread: InThread) -> None:
        self._look, self._in_thread = look, in_thread
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None  # has not begun

    async def now(self) -> T:
        """Return what a look finds that begins after this call."""
        if self._next is None or self._next.done():
            self._next = asyncio.ensure_future(self._after(self._running))
            self._next.add_done_callback(_noticed)
        # Shielded: a client that leaves takes nothing from the others.
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[T] | None) -> T:
        if running is not None and not running.done():
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._in_thread(self._look)


def _noticed(look: asyncio.Task[T]) -> None:
    """Take note of what came of a look whose askers may all have left."""
    if not look.cancelled():
        look.exception()
