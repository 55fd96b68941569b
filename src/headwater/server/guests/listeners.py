"""What one worker answers guests with: on the metadata port, and on the listeners of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from headwater.database.engine import Database
from headwater.instances.answering import Elsewhere
from headwater.instances.callers.settings import NeutronSettings
from headwater.instances.callers.signed import Signed
from headwater.instances.http import refusal
from headwater.instances.settings import MetadataSettings
from headwater.instances.vendor_data.static import Static
from headwater.loops import Loop
from headwater.server.guests.networks import OnNetwork
from headwater.server.guests.port import Port
from headwater.server.metrics import Metrics
from headwater.server.middleware.forwarded import behind, trusting
from headwater.server.middleware.observe import Observed
from headwater.server.middleware.whole_bodies import WholeBodies
from headwater.server.pools import Pools
from headwater.server.settings import Settings

if TYPE_CHECKING:
    from headwater.server.guests.cloud import KnownByCloud


class GuestListeners:
    """ASGI applications, ``metadata`` and, by name, ``networks``; what they share with the API; work beside them."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        pools: Pools,
        metrics: Metrics,
        drained: Callable[[], object],
    ) -> None:
        """Put them together.

        Args:
            drained: As of ``Port``.

        Raises:
            SettingsError: A file that the settings name is no good.
        """
        self._database, self._pools, self._metrics = database, pools, metrics
        self.cloud: KnownByCloud | None = None
        neutron = settings.metadata.neutron
        self._port = Port(
            database,
            settings.metadata,
            pools.guests.run,
            issuer=settings.image_url,
            keystone=settings.auth.keystone,
            metrics=metrics,
            signed=_signed(neutron),
            elsewhere=self._elsewhere,
            drained=drained,
        )
        self.identity = self._port.identity
        self.loops: tuple[Loop, ...] = self._port.loops + (self.cloud.loops if self.cloud is not None else ())
        answers = WholeBodies(self._port.app)
        to_agents = partial(refusal, by_agent=bool(neutron.shared_secrets))
        self.metadata = Observed(
            behind(answers, settings.server.metadata_trusted_proxies), "metadata", metrics, to_agents
        )
        self.networks = {
            name: Observed(
                OnNetwork(behind(answers, each.trusted_proxies), name, trusted=each.trusted),
                "metadata",
                metrics,
                refusal,
            )
            for name, each in settings.metadata.networks.items()
        }

    def _elsewhere(self, settings: MetadataSettings, told: Callable[[], Static]) -> Elsewhere | None:
        """Return who knows of instances that are not registered, if a cloud does.

        Args:
            told: Returns the vendor data of all.
        """
        if settings.openstack.auth_url is None:
            return None
        from headwater.server.guests.cloud import KnownByCloud  # noqa: PLC0415 - only what is used

        self.cloud = KnownByCloud(
            self._database, settings, self._pools.cloud.run, self._pools.guests.run, self._metrics, static=told
        )
        return self.cloud.guests

    def stop(self) -> None:
        """Let no request wait for a change any more."""
        self._port.stop()

    def close(self) -> None:
        """Write what was noted, after the last request, and ask no more."""
        if self.cloud is not None:
            self.cloud.close()
        self._port.close()


def _signed(settings: NeutronSettings) -> Signed | None:
    if not settings.shared_secrets:
        return None
    is_agent = trusting(settings.agents) if settings.agents else lambda _: True
    return Signed(settings.shared_secrets, is_agent, settings.providers)
