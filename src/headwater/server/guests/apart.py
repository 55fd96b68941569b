"""A worker that answers guests and does nothing else, so that nothing else delays it."""

from __future__ import annotations

from collections.abc import Callable

from headwater.database import schema
from headwater.database.engine import Database
from headwater.loops import run_all
from headwater.server.guests.listeners import GuestListeners
from headwater.server.metrics import Metrics
from headwater.server.pools import Pools
from headwater.server.settings import Settings


class GuestsApart:
    """What one worker process holds that answers guests alone."""

    def __init__(self, settings: Settings, drained: Callable[[], str | None]) -> None:
        """Open the database.

        Args:
            drained: As of ``Application``.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        self._pools = pools = Pools(settings)
        self._database = Database(settings.database_url, pool_size=pools.connections, may_make=False)
        schema.check(self._database)
        self.metrics = Metrics()
        self.guests = GuestListeners(self._database, settings, pools, self.metrics, drained)

    async def work(self) -> None:
        """Do what is done while nobody waits, until cancelled. That it ends by itself is a fault."""
        await run_all(self.guests.loops)

    def stop(self) -> None:
        """Let no request wait for a change; all others go on."""
        self.guests.stop()

    def close(self) -> None:
        """Let go of everything, after the last request."""
        self.guests.close()
        for loop in self.guests.loops:
            loop.pool.close()
        self._pools.close()
        self._database.close()
