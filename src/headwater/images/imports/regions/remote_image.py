"""An image of another region: where its data is, what that must be, and what of it comes along.

Asked as whoever began the import, whose token goes to that region's Image service and nowhere else. The service is
found in Keystone's catalogue, and asked through the URL filter as any other server. Source: glance-download of Glance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from headwater.errors import Forbidden, HeadwaterError
from headwater.fetching.fetcher import Fetcher, RemoteFailed
from headwater.identity.caller import Caller
from headwater.identity.keystone.kept_tokens import TokenCipher
from headwater.images.attributes import RESERVED_PREFIX, is_property, require_quotas
from headwater.images.imports.rules import ALGORITHMS, Elsewhere, Order
from headwater.images.locations.rules import InvalidLocation, Validation, checked
from headwater.images.model import Image
from headwater.images.properties.guard import PropertyGuard
from headwater.images.settings import ImagesSettings

if TYPE_CHECKING:
    from headwater.identity.keystone.regions import Regions

_LIMIT = 4 << 20  # bytes of what the other service says of an image


class RemoteImageUnfit(HeadwaterError):
    """The other region's image cannot become one here."""

    def __init__(self, at: Elsewhere, reason: str) -> None:
        super().__init__(f"image {at.image_id} of region {at.region[:64]!r} {reason}")
        self.image_id, self.region = at.image_id, at.region


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteImage:
    """What the other service says of it."""

    url: str  # of its data
    headers: Mapping[str, str] = field(repr=False)  # with which its service is asked
    disk_format: str
    container_format: str
    validation: Validation | None  # what the data's hash must be, where that is known there
    properties: Mapping[str, str]  # those that come along

    def given_to(self, image: Image) -> Image:
        """Return the image with what comes along."""
        return replace(
            image,
            disk_format=self.disk_format,
            container_format=self.container_format,
            properties={**image.properties, **self.properties},
        )


class RemoteImages:
    """Asks for them; safe to use from several threads."""

    def __init__(
        self,
        regions: Callable[[], Regions],
        cipher: TokenCipher,
        fetcher: Fetcher,
        settings: ImagesSettings,
        guard: PropertyGuard | None,
    ) -> None:
        """Take what it works with.

        Args:
            regions: Returns where services are; called when the first image is asked for.
        """
        self._regions, self._cipher, self._fetcher = cache(regions), cipher, fetcher
        self._settings, self._guard = settings, guard

    def with_token(self, at: Elsewhere, caller: Caller, task_id: str) -> Elsewhere:
        """Return it with the token of whoever asks, as a job keeps it."""
        return replace(at, token=self._cipher.encrypt(caller.token or "", task_id))

    def get(
        self, order: Order, caller: Caller, image: Image, *, look: Callable[[], None] = lambda: None
    ) -> RemoteImage:
        """Ask for the image that an order names.

        Args:
            image: What it is to become.
            look: Called about once a second while the service is waited for; what it raises ends the asking.

        Raises:
            RemoteImageUnfit, RegionUnknown, TokenExpired, TokenUnreadable, UrlRefused: It is not to be had.
            QuotaExceeded, TooLarge: More properties come along than an image may have.
            PeerUnavailable, RemoteFailed: It may be had later.
        """
        at = order.elsewhere
        assert at is not None, "the rules take no glance-download without it"
        token = self._cipher.decrypt(at.token or "", order.task_id)
        endpoint = self._regions().endpoint(token, "image", at.region, at.interface)
        url = f"{endpoint.rstrip('/').removesuffix('/v2')}/v2/images/{at.image_id}"
        headers = {"X-Auth-Token": token}
        said = self._said(at, url, headers, look)
        if said.get("status") != "active":
            raise RemoteImageUnfit(at, f"is {said.get('status')!s:.20}, and only an active one has data")
        asker = replace(caller, roles=frozenset(order.roles))
        remote = RemoteImage(
            url=f"{url}/file",
            headers=headers,
            disk_format=self._format(at, said, "disk_format", self._settings.disk_formats),
            container_format=self._format(at, said, "container_format", self._settings.container_formats),
            validation=_validation(said),
            properties=dict(self._coming(said, asker)),
        )
        quotas = self._settings
        require_quotas(image, remote.given_to(image), properties=quotas.property_quota, tags=quotas.tag_quota)
        return remote

    def _said(self, at: Elsewhere, url: str, headers: Mapping[str, str], look: Callable[[], None]) -> Mapping[str, Any]:
        try:
            with self._fetcher.open(url, look=look, headers={**headers, "Accept": "application/json"}) as fetched:
                body = b""
                for piece in fetched:
                    body += piece
                    if len(body) > _LIMIT:
                        raise RemoteImageUnfit(at, f"is described by more than {_LIMIT} bytes")
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise RemoteImageUnfit(at, "is described by something that is no JSON object") from error
        except RemoteFailed as error:
            if error.is_missing:
                raise RemoteImageUnfit(at, "is not there, or not for whoever asked to see") from error
            if error.status in (401, 403) and not error.guarded:
                raise RemoteImageUnfit(at, f"is refused to whoever asked, with status {error.status}") from error
            raise

    def _format(self, at: Elsewhere, said: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
        value = said.get(name)
        if not isinstance(value, str) or value not in allowed:
            raise RemoteImageUnfit(at, f"has the {name} {str(value)[:64]!r}, which no image may have here")
        return value

    def _coming(self, said: Mapping[str, Any], asker: Caller) -> Iterator[tuple[str, str]]:
        """Yield the properties that come along; what the caller may not give to an image does not."""
        for name, value in said.items():
            if (
                name.startswith(self._settings.glance_download_properties)
                and is_property(name)
                and not name.startswith(RESERVED_PREFIX)
                and len(name) <= 255
                and isinstance(value, str)
            ):
                with suppress(Forbidden):
                    if self._guard is not None:
                        self._guard.require_creatable(asker, [name])
                    yield name, value


def _validation(said: Mapping[str, Any]) -> Validation | None:
    algorithm, value, checksum = (said.get(name) for name in ("os_hash_algo", "os_hash_value", "checksum"))
    for name, digest in ((algorithm, value), ("md5", checksum)):
        if name in ALGORITHMS and isinstance(digest, str):
            with suppress(InvalidLocation):  # it is no hash at all
                return checked(Validation(str(name), digest.lower()))
    return None
