"""What one process does again and again, beside what it is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from headwater.threads import Pool

_log = logging.getLogger(__name__)


class Loop:
    """Work that is done again and again, in a thread of its own, so that nothing else keeps it from being done."""

    def __init__(
        self, fails: str, work: Callable[[], float | None], every_s: float, *, asks_database: bool = True
    ) -> None:
        """Take the work.

        Args:
            fails: What the log says when it fails.
            work: Returns after how many seconds it wants to be done again; ``None``: after ``every_s``.
            asks_database: Its thread needs a connection.
        """
        self.pool = Pool("loop", 1)
        self.asks_database = asks_database
        self._fails, self._work, self._every_s = fails, work, every_s

    async def run(self) -> None:
        """Do it until cancelled."""
        while True:
            pause_s: float | None = None
            try:
                pause_s = await self.pool.run(self._work)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning(self._fails, extra={"error": str(error) or type(error).__name__})
            await asyncio.sleep(self._every_s if pause_s is None else pause_s)


async def run_all(loops: Iterable[Loop]) -> None:
    """Run loops side by side, until cancelled; that one ends by itself is a fault."""
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop.run())
