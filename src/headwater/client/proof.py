"""What proves who calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from headwater.errors import HeadwaterError, SettingsError


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


def needed(environment: Mapping[str, str], name: str) -> str:
    """Return a variable.

    Raises:
        SettingsError: It is not set.
    """
    value = environment.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: it is needed to prove who calls")
    return value
