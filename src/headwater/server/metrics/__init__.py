"""What is counted, for Prometheus; all worker processes of one service are counted together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.server.metrics import processes
from headwater.server.metrics.guests import Guests
from headwater.server.metrics.kept import Kept
from headwater.server.metrics.listeners import Listeners
from headwater.server.metrics.stores import Stores
from headwater.server.metrics.work import Work

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Metrics(Listeners, Stores, Work, Kept, Guests):
    """The counters of this process."""

    def __init__(self) -> None:
        # The library decides by the environment, at its import, how processes count together.
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - see above

        self._registry: CollectorRegistry = CollectorRegistry()
        for part in (Listeners, Stores, Work, Kept, Guests):
            part.__init__(self, self._registry)

    def exposition(self) -> tuple[bytes, str]:
        """Return all counts of all processes as Prometheus reads them, and their media type."""
        return processes.exposition(self._registry)
