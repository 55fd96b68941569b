"""The two services of a replication, each with its own credentials: those of one never go to the other."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from headwater.client.clouds import environment_of
from headwater.client.environment import proof_from
from headwater.client.service import ImageService
from headwater.errors import SettingsError


class SideUnknown(SettingsError):
    """It is not said where a service is."""

    def __init__(self, side: str) -> None:
        super().__init__(
            f"the service to copy {side} is not said: --{side} URL, --{side}-cloud NAME, or {side.upper()}_OS_AUTH_URL"
        )
        self.side = side


class SecretOnCommandLine(SettingsError):
    """A URL holds a password, which everybody on the machine could read."""

    def __init__(self, side: str) -> None:
        name = f"{side.upper()}_OS"
        super().__init__(
            f"the URL of --{side} holds a name or a password: set {name}_AUTH_TYPE=http_basic, "
            f"{name}_USERNAME and {name}_PASSWORD instead"
        )
        self.side = side


def side(name: str, url: str | None, cloud: str | None, environment: Mapping[str, str]) -> ImageService:
    """Return the service of one side; to be closed.

    Args:
        name: ``from`` or ``to``: the variables of this side begin with ``FROM_OS_`` or ``TO_OS_``.
        cloud: Its name in ``clouds.yaml``, whose values the variables override.

    Raises:
        SettingsError: Something is missing or wrong.
        NotProved: Keystone does not know where the service is.
    """
    prefix = f"{name.upper()}_"
    own = {key.removeprefix(prefix): value for key, value in environment.items() if key.startswith(f"{prefix}OS_")}
    cloud = cloud or own.pop("OS_CLOUD", None)
    said = {**(environment_of(cloud, environment) if cloud else {}), **own}
    if url is None and not said.keys() & {"OS_AUTH_URL", "OS_ENDPOINT", "OS_IMAGE_ENDPOINT_OVERRIDE"}:
        raise SideUnknown(name)
    if url is not None:
        _require_plain(name, url)
    where, proof = proof_from(said, url)
    return ImageService(where, proof, ca_file=said.get("OS_CACERT") or None)


def _require_plain(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise SettingsError(f"--{name} is no http or https URL")
    if parts.username is not None or parts.password is not None:
        raise SecretOnCommandLine(name)
