"""Section ``[streams]``: what the live feed says about the cloud, and who signs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from headwater.config import Section
from headwater.streams.format.guests import KVM, virt_of
from headwater.streams.format.layout import FILES_CONTENT_ID, RELEASED, path_of
from headwater.streams.trees.served.settings import NAME, TreeSettings

_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_OTHER_DOCUMENTS = frozenset({"index", "index2", "mirrors", FILES_CONTENT_ID})


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
    image_files: bool | None = Field(
        default=None,
        description=(
            "Whether public images are in the feed with their data, for LXD and Incus: everybody who reaches the feed "
            "downloads them, with no token. Default: where callers of the Image API have nothing to prove either "
            "(auth.mode none)."
        ),
    )
    hashing_rate: int = Field(
        default=256 << 20,
        ge=1 << 16,
        description=(
            "Bytes a second at most that are read to hash image files; one image at a time is read, "
            "by one process of all."
        ),
    )
    grace_s: int = Field(
        default=7200,
        ge=0,
        le=7 * 86400,
        description=(
            "How long products documents are served that the index names no more, in seconds. "
            "LXD and Incus go on with an index for an hour."
        ),
    )
    deleted_files_s: int = Field(
        default=7200,
        ge=0,
        le=7 * 86400,
        description=(
            "How long the files of a public image that is deleted are given to readers who hold an index that names "
            "it, in seconds; it is in no new index, and counts against no limit. LXD and Incus go on with an index for "
            "an hour. 0: they go at once."
        ),
    )
    signing_key: Path | None = Field(
        default=None, description="Armored OpenPGP secret key; with it each .json document has a signed .sjson twin."
    )
    signing_key_password: SecretStr | None = Field(
        default=None, description="Password of the signing key; leave it out for a key without one."
    )

    trees: Annotated[
        dict[str, TreeSettings],
        Field(description="Feeds that are served at /trees/NAME/: one table for each tree. Default: none."),
    ] = {}  # noqa: RUF012 - pydantic copies it for each
    agents: Annotated[
        str | None,
        Field(
            description="Tree of Juju's agents that is served at /tools: a directory, s3://BUCKET/PREFIX or "
            "swift://CONTAINER/PREFIX. Default: DATA_DIR/streams/agents, which need not be there."
        ),
    ] = None

    @field_validator("trees", mode="before")
    @classmethod
    def _tree_names(cls, trees: Any) -> Any:
        for name in trees if isinstance(trees, dict) else ():
            if not NAME.fullmatch(str(name)):
                raise ValueError(f"a tree's name is lower-case letters, digits, '-' and '_', not {name!r}")
        return trees

    @field_validator("agents")
    @classmethod
    def _agents_lie_somewhere(cls, agents: str | None) -> str | None:
        if agents is not None and agents.startswith(("http://", "https://")):
            raise ValueError("name a directory, s3://… or swift://…; agents of a URL are a tree with pull_through")
        return agents

    @model_validator(mode="after")
    def _resigned_with_a_key(self) -> StreamsSettings:
        resigned = [name for name, tree in self.trees.items() if tree.resign]
        if resigned and self.signing_key is None:
            raise ValueError(
                f"section [streams.trees.{resigned[0]}], key 'resign' is true, and section [streams] has no "
                "signing_key: set the file of the key too"
            )
        return self

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
        if content_id in _OTHER_DOCUMENTS:
            raise ValueError(f"a content id is not the name of another document of the feed, as {content_id} is")
        if not _CONTENT_ID.fullmatch(content_id):
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
        """The file name of the products document of the stream ``released``."""
        return self.products_of(RELEASED)

    def lists_files(self, proof: str) -> bool:
        """Return whether images are in the feed with their data.

        Args:
            proof: ``auth.mode``.
        """
        return proof == "none" if self.image_files is None else self.image_files

    def content_id_of(self, stream: str) -> str:
        """Return the content id of a stream: the one of the settings, with the stream where that says ``released``."""
        if stream == RELEASED:
            return self.content_id
        parts = self.content_id.split(":")
        if len(parts) == 1 or RELEASED not in parts:
            return f"{self.content_id}:{stream}"
        return ":".join(stream if part == RELEASED else part for part in parts)

    def products_of(self, stream: str) -> str:
        """Return the file name of the products document of a stream."""
        return path_of(self.content_id_of(stream)).rpartition("/")[2]
