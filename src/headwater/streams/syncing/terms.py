"""What a sync is asked for: which items, what images they become, and what becomes of older ones."""

from __future__ import annotations

import re
from enum import StrEnum
from string import Formatter
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator

from headwater.config import Section
from headwater.streams.query.filters import FilterUnusable, parse_filters

DEFAULT_CONTENT_ID: Final = "auto.sync"
DEFAULT_PREFIX: Final = "auto-sync/"
DISK_FORMATS: Final = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "ari", "aki", "ploop")
# What a sync sets itself: a template for one of them would make images that no run finds again.
OWN_PROPERTIES: Final = frozenset(
    {
        *("content_id", "source_content_id", "product_name", "version_name", "item_name", "simplestreams_metadata"),
        *("latest", "headwater_sync_unfinished"),
    }
)
_NO_PROPERTIES: Final = frozenset(
    {
        *("id", "name", "status", "visibility", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"),
        *("created_at", "updated_at", "owner", "tags", "protected", "min_disk", "min_ram", "disk_format", "self"),
        *("container_format", "os_hidden", "file", "schema", "locations", "direct_url", "stores", "members", "hidden"),
    }
)
_FIELD: Final = re.compile(r"[A-Za-z_][\w|-]*")


class Old(StrEnum):
    """What becomes of an image that is older than those that are kept."""

    DELETE = "delete"  # when nobody uses it; hidden where that cannot be known
    DELETE_ALWAYS = "delete-always"
    HIDE = "hide"
    DEACTIVATE = "deactivate"
    KEEP = "keep"


class Visibility(StrEnum):
    """Who sees the images."""

    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


class Via(StrEnum):
    """How data comes into the service."""

    UPLOAD = "upload"  # through whoever runs the sync
    WEB_DOWNLOAD = "web-download"  # the service fetches it


class SyncTerms(Section):
    """All that a sync is asked for, whatever it reads from and writes to."""

    filters: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        default=(), max_length=50, description="Which items of the feed, as KEY=TEXT, KEY!=TEXT, KEY~REGEX, KEY!~REGEX."
    )
    max_versions: int = Field(default=1, ge=1, le=1000, description="The newest versions of each product that come.")
    keep: int | None = Field(
        default=None, ge=1, le=1000, description="The newest versions of each product that stay. Default: max_versions."
    )
    old: Old = Field(default=Old.DELETE, description="What becomes of images beyond those.")
    used_days: int = Field(
        default=30, ge=0, le=3650, description="An old image that was used so many days ago or later is not deleted."
    )
    content_id: str = Field(
        default=DEFAULT_CONTENT_ID, min_length=1, max_length=255, description="Marks the images; may hold {region}."
    )
    region: str = Field(default="RegionOne", min_length=1, max_length=255, description="What {region} stands for.")
    name_prefix: str = Field(default=DEFAULT_PREFIX, max_length=100, description="Begins the names of images.")
    name: str | None = Field(
        default=None, max_length=500, description="Template of names. Default: prefix, pubname and item, as the charm."
    )
    visibility: Visibility = Field(default=Visibility.PUBLIC, description="Who sees the images.")
    properties: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="More properties, as templates of the item's values."
    )
    hypervisor_mapping: bool = Field(default=False, description="Set hypervisor_type by the kind of file.")
    latest_property: bool = Field(default=False, description="Set latest=true on the newest image.")
    disk_format: str | None = Field(
        default=None, description="What the service converts images to, by its import plugin image_conversion."
    )
    via: Via = Field(default=Via.UPLOAD, description="Whether data is uploaded, or fetched by the service itself.")

    @field_validator("filters")
    @classmethod
    def _usable(cls, filters: tuple[str, ...]) -> tuple[str, ...]:
        try:
            parse_filters(filters)
        except FilterUnusable as error:
            raise ValueError(str(error)) from error
        return filters

    @field_validator("name", "content_id")
    @classmethod
    def _template(cls, text: str | None) -> str | None:
        if text is not None:
            fields_of(text)
        return text

    @field_validator("content_id")
    @classmethod
    def _region_only(cls, text: str) -> str:
        if fields_of(text) - {"region"}:
            raise ValueError("the only value that it may hold is {region}")
        return text

    @field_validator("content_id", "region", "name_prefix", "name")
    @classmethod
    def _printable(cls, text: str | None) -> str | None:
        if text is not None and not text.isprintable():
            raise ValueError("it is printable text")
        return text

    @field_validator("properties")
    @classmethod
    def _free(cls, properties: dict[str, str]) -> dict[str, str]:
        for name, text in properties.items():
            if not 0 < len(name) <= 255 or not name.isprintable() or name.startswith("os_glance"):
                raise ValueError(f"{name[:40]!r} is no name of a property")
            if name in OWN_PROPERTIES or name in _NO_PROPERTIES:
                raise ValueError(f"{name!r} is set by the sync itself, or is no property")
            if len(text) > 1000:
                raise ValueError(f"{name!r} has more than 1000 characters")
            fields_of(text)
        return properties

    @field_validator("disk_format")
    @classmethod
    def _known(cls, disk_format: str | None) -> str | None:
        if disk_format not in (None, *DISK_FORMATS):
            raise ValueError(f"{disk_format[:20] if disk_format else ''!r} is none of {', '.join(DISK_FORMATS)}")
        return disk_format

    @model_validator(mode="after")
    def _keeps_what_comes(self) -> SyncTerms:
        if self.keep is not None and self.keep < self.max_versions:
            raise ValueError("keep is less than max_versions: what comes would go again")
        return self

    @property
    def kept(self) -> int:
        """How many versions of each product stay."""
        return self.keep or self.max_versions

    @property
    def marked(self) -> str:
        """The content id that the images have."""
        return self.content_id.format(region=self.region)


def fields_of(template: str) -> set[str]:
    """Return the names of the values that a template holds.

    Raises:
        ValueError: It is none, or wants more of a value than the value itself.
    """
    found: set[str] = set()
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{template[:80]!r} is no template: {error}") from error
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if not _FIELD.fullmatch(name) or form or conversion:
            raise ValueError(f"{template[:80]!r}: a value is written as {{arch}}, and {{{{ is a brace")
        found.add(name)
    return found
