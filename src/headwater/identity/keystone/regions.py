"""Where the services of other regions are, as the catalogue says that goes with a caller's token."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.errors import HeadwaterError
from headwater.identity.keystone.peer import Peer, PeerUnavailable
from headwater.identity.settings import KeystoneSettings

_LIMIT = 4 << 20  # bytes of a catalogue


class RegionUnknown(HeadwaterError):
    """The catalogue has no such service there."""

    def __init__(self, service_type: str, region: str, interface: str) -> None:
        super().__init__(
            f"Keystone's catalogue has no service of type {service_type} in region {region[:64]!r} "
            f"with interface {interface[:64]!r}"
        )
        self.region, self.interface = region, interface


class TokenExpired(HeadwaterError):
    """Keystone takes the token no longer."""

    def __init__(self) -> None:
        super().__init__("the token of whoever asked is not valid any more: ask again with a new one")


class Regions:
    """Asks Keystone; safe to use from several threads."""

    def __init__(self, settings: KeystoneSettings) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._url = f"{settings.v3_url}/auth/catalog"
        self._peer = Peer(
            None,
            cafile=settings.cafile,
            cafile_setting="section [auth.keystone], key 'cafile'",
            timeout_s=settings.timeout_s,
            insecure=settings.insecure,
        )

    def endpoint(self, token: str, service_type: str, region: str, interface: str) -> str:
        """Return the URL of the service of this type in a region.

        Raises:
            RegionUnknown: There is none that the token may use.
            TokenExpired: The token is good no longer.
            PeerUnavailable: Keystone does not tell.
        """
        reply = self._peer.get(self._url, token=token, accept="application/json", limit=_LIMIT)
        if reply.status == 401:
            raise TokenExpired
        if reply.status != 200 or reply.is_cut:
            raise PeerUnavailable(f"(Keystone) does not tell its catalogue: it answers {reply.status}")
        try:
            catalogue = msgspec.json.decode(reply.body)["catalog"]
            found = _endpoint(catalogue, service_type, region, interface)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise PeerUnavailable("(Keystone) tells a catalogue that is not what it should be") from error
        if found is None:
            raise RegionUnknown(service_type, region, interface)
        return found


def _endpoint(catalogue: Any, service_type: str, region: str, interface: str) -> str | None:
    for service in catalogue:
        if service["type"] != service_type:
            continue
        for endpoint in service["endpoints"]:
            if endpoint["interface"] == interface and region in (endpoint.get("region_id"), endpoint.get("region")):
                return str(endpoint["url"])
    return None
