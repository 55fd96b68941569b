"""How a command proves who calls: as OpenStack's own clients do, from the variables that begin with ``OS_``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Protocol

from headwater.errors import HeadwaterError, SettingsError

DEFAULT_URL = "http://127.0.0.1:9292"


class NotProved(HeadwaterError):
    """Keystone gives no token, or does not know the image service."""

    def __init__(self, auth_url: str, reason: str) -> None:
        super().__init__(f"Keystone at {auth_url}: {reason}")
        self.auth_url = auth_url


class Proof(Protocol):
    """Says who calls, in the head of each request."""

    def headers(self) -> Mapping[str, str]:
        """Return the fields that prove it."""

    def renew(self) -> bool:
        """Forget what was refused; return whether ``headers`` may have something else now."""

    def project(self) -> str | None:
        """Return the id of the project that calls, if anything tells it."""


class Fixed:
    """The same fields for each request."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def headers(self) -> Mapping[str, str]:
        return self._headers

    def renew(self) -> bool:
        return False

    def project(self) -> None:
        """Return ``None``: nobody tells."""


def proof_from(environment: Mapping[str, str], url: str | None) -> tuple[str, Proof]:
    """Return where the service is, and how to prove who calls.

    Args:
        environment: ``OS_AUTH_URL`` and its like for Keystone; ``OS_AUTH_TYPE=http_basic`` with a name and a password;
            nothing where nobody has to prove anything.
        url: Of the service, if it was said.

    Raises:
        SettingsError: Something is missing, or in a form that is not read here.
        NotProved: Keystone does not know where the service is.
    """
    kind = environment.get("OS_AUTH_TYPE", "")
    url = url or environment.get("OS_IMAGE_ENDPOINT_OVERRIDE") or environment.get("OS_ENDPOINT")
    if kind == "http_basic":
        user, password = needed(environment, "OS_USERNAME"), needed(environment, "OS_PASSWORD")
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        return url or DEFAULT_URL, Fixed({"Authorization": f"Basic {word}"})
    if kind == "admin_token":
        return url or DEFAULT_URL, Fixed({"X-Auth-Token": needed(environment, "OS_TOKEN")})
    if "OS_AUTH_URL" in environment and kind != "none":
        from headwater.client.keystone import Keystone, keystone_session  # noqa: PLC0415 - most do without Keystone

        keystone = Keystone(keystone_session(environment), environment["OS_AUTH_URL"])
        interface = environment.get("OS_INTERFACE", "public")
        return url or keystone.endpoint(interface, environment.get("OS_REGION_NAME")), keystone
    return url or DEFAULT_URL, Fixed({})


def needed(environment: Mapping[str, str], name: str) -> str:
    """Return a variable.

    Raises:
        SettingsError: It is not set.
    """
    value = environment.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: it is needed to prove who calls")
    return value
