"""Where the other services of the cloud are, as Keystone's catalogue says."""

from __future__ import annotations

from keystoneauth1 import exceptions

from headwater.identity.keystone.peer import PeerUnavailable
from headwater.identity.keystone.service_user import service_session
from headwater.identity.settings import KeystoneUser


class ServiceCatalogue:
    """The catalogue, read with the token of Headwater's own user and as long as that is good."""

    def __init__(self, settings: KeystoneUser) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._session = service_session(settings, with_catalogue=True)
        self._region, self._interface = settings.region, settings.interface

    def endpoint(self, service_type: str) -> str:
        """Return the URL of the service of this type.

        Raises:
            PeerUnavailable: There is none in the region and of the interface that were set, or Keystone does not tell.
        """
        try:
            url = self._session.get_endpoint(
                service_type=service_type, interface=self._interface, region_name=self._region
            )
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise PeerUnavailable("cannot be found: Keystone refuses Headwater's own user") from error
        except exceptions.EndpointNotFound:
            url = None
        except exceptions.ClientException as error:
            raise PeerUnavailable("cannot be found: Keystone does not answer") from error
        if not url:
            where = f"region {self._region!r}, " if self._region is not None else ""
            raise PeerUnavailable(f"is not in Keystone's catalogue ({where}interface {self._interface!r})")
        return str(url)
