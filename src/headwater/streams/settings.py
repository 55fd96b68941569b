"""Section ``[streams]``: what the live feed says about the cloud, and who signs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from headwater.config import Section
from headwater.streams.placement import KVM, virt_of

_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_OTHER_DOCUMENTS = frozenset({"index", "index2", "mirrors"})


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CloudEndpoint(Section):
    """One region, and every way in which users write the address of its Keystone."""

    region: str = Field(
        min_length=1, max_length=255, description="Region as in the Keystone catalog; Juju compares it exactly."
    )
    endpoint: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        min_length=1,
        description=(
            "Identity URL of the region; a list gives each spelling that users have in clouds.yaml "
            "(with and without /v3, host name and address). The first one stands on the images."
        ),
    )

    @field_validator("region")
    @classmethod
    def _printable(cls, region: str) -> str:
        if not region.isprintable() or region != region.strip():
            raise ValueError("a region is printable text without blanks at its ends")
        return region

    @field_validator("endpoint")
    @classmethod
    def _urls(cls, endpoint: tuple[str, ...]) -> tuple[str, ...]:
        for url in endpoint:
            _require_identity_url(url)
        return tuple(dict.fromkeys(endpoint))


def _require_identity_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("an endpoint is a URL such as https://keystone.example:5000/v3") from None
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("an endpoint is a URL such as https://keystone.example:5000/v3")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an endpoint is published to everybody; it must not hold a user name or a password")


class StreamsSettings(Section):
    """Section ``[streams]``."""

    clouds: tuple[CloudEndpoint, ...] = Field(
        default=(CloudEndpoint(region="RegionOne", endpoint=("http://127.0.0.1:5000/v3",)),),
        min_length=1,
        description="Regions in which the public images are listed, each with its Identity URL in every spelling.",
    )
    cloud_name: str = Field(
        default="headwater", min_length=1, max_length=255, description="Written as cloudname; readers only show it."
    )
    content_id: str = Field(
        default="com.ubuntu.cloud:released:imagemetadata",
        description="Content id of the live feed; with ':' written as '-' it names the products file.",
    )
    virt_types: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        default=(KVM,),
        min_length=1,
        description=(
            "Kinds of guest whose images are listed, as hypervisor_type names them (images that name none are kvm). "
            "With several, Juju models need the constraint virt-type: without it Juju takes the lower id."
        ),
    )
    signing_key: Path | None = Field(
        default=None, description="Armored OpenPGP secret key; with it each .json document has a signed .sjson twin."
    )
    signing_key_password: SecretStr | None = Field(
        default=None, description="Password of the signing key; leave it out for a key without one."
    )

    @field_validator("clouds")
    @classmethod
    def _regions_once(cls, clouds: tuple[CloudEndpoint, ...]) -> tuple[CloudEndpoint, ...]:
        seen: dict[str, str] = {}
        for cloud in clouds:
            # Source: Juju looks a region up in an index lower-cased and without spaces.
            alike = cloud.region.lower().replace(" ", "")
            if alike in seen:
                raise ValueError(
                    f"the regions {seen[alike]!r} and {cloud.region!r} are the same to Juju; "
                    "name a region once and give all spellings of its URL in one endpoint list"
                )
            seen[alike] = cloud.region
        return clouds

    @field_validator("virt_types")
    @classmethod
    def _words(cls, virt_types: tuple[str, ...]) -> tuple[str, ...]:
        words = [virt_of(each) if each.strip() else None for each in virt_types]
        known = [word for word in words if word is not None]
        if len(known) < len(words):
            raise ValueError("a kind of guest is a word such as kvm, lxc or xen")
        return tuple(dict.fromkeys(known))

    @field_validator("content_id")
    @classmethod
    def _file_name(cls, content_id: str) -> str:
        if not _CONTENT_ID.fullmatch(content_id) or content_id in _OTHER_DOCUMENTS:
            raise ValueError(
                "a content id is letters, digits and '.', '_', '-', ':', such as com.example:released:site"
            )
        return content_id

    @model_validator(mode="after")
    def _password_of_a_key(self) -> StreamsSettings:
        if self.signing_key_password is not None and self.signing_key is None:
            raise ValueError("signing_key_password is set and signing_key is not; set the file of the key too")
        return self

    @property
    def products_name(self) -> str:
        """The file name of the products document."""
        return self.content_id.replace(":", "-") + ".json"
