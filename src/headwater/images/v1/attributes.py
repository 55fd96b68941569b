"""What callers may say of an image in the API v1: pure rules.

A v1 request describes an image; ``Description`` is what it says, and everything that it leaves out stays as it is.
The rules differ from those of v2 in words (``is_public`` for a visibility) and in substance: a change takes away
the properties that it does not name, formats of Amazon's images follow each other, what v1 clients send back
because they were shown it (status, times, the owner) does no harm.
Source: Glance before 2018, ``api/v1/images.py`` and ``registry/api/v1/images.py``; OSSA-2015-019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headwater.errors import Forbidden, Invalid
from headwater.images import attributes
from headwater.images.model import FORMATS_MAY_CHANGE, Image, Status, Visibility

# Source: Glance's list of headers; any other x-image-meta-… is refused.
FIELDS = frozenset(
    {
        "id",
        "name",
        "location",
        "copy_from",
        "uri",
        "size",
        "is_public",
        "protected",
        "deleted",
        "disk_format",
        "container_format",
        "status",
        "checksum",
        "created_at",
        "updated_at",
        "deleted_at",
        "min_ram",
        "min_disk",
        "owner",
        "store",
        "virtual_size",
    }
)
_AMAZON = ("aki", "ari", "ami")
# Names that a property may not have: in v2, which shows both side by side, the attribute would hide it.
_TAKEN = frozenset(attributes.WRITABLE) | attributes.READ_ONLY | attributes.RESERVED | {"id", "locations"}


class FixedAttribute(Forbidden):
    """This part of an image is not changed by callers, or not any more."""

    def __init__(self, name: str, status: str | None = None) -> None:
        of = f"{status} image" if status else "image"
        super().__init__(f"Forbidden to modify '{name}' of {of}.")
        self.name = name


class FormatMix(Invalid):
    """The two formats of one image of Amazon's kinds differ."""

    def __init__(self) -> None:
        super().__init__(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of "
            "'aki', 'ari', or 'ami', the container and disk formats must match."
        )


class SeveralSources(Invalid):
    """The data comes from one place: the body, a location or a URL to copy from."""

    def __init__(self) -> None:
        super().__init__(
            "It's invalid to provide multiple image sources: send data, or x-image-meta-location, "
            "or x-glance-api-copy-from"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What one request says of an image."""

    fields: Mapping[str, Any] = field(default_factory=dict)  # of FIELDS, those that are given, typed
    properties: Mapping[str, str] = field(default_factory=dict)  # names in lower case, with "_" for "-"
    copy_from: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        disk, container = self.fields.get("disk_format"), self.fields.get("container_format")
        if disk in _AMAZON or container in _AMAZON:
            if disk and container and disk != container:
                raise FormatMix
            both = {"disk_format": disk or container, "container_format": container or disk}
            object.__setattr__(self, "fields", {**self.fields, **both})

    @property
    def location(self) -> str | None:
        """Where the data lies already."""
        found: str | None = self.fields.get("location")
        return found

    @property
    def size(self) -> int | None:
        """How long the data is or will be, in bytes."""
        found: int | None = self.fields.get("size")
        return found

    @property
    def checksum(self) -> str | None:
        """The MD5 that the data has or will have, hex in lower case."""
        found: str | None = self.fields.get("checksum")
        return found

    def require_one_source(self, *, has_data: bool) -> None:
        """Raise ``SeveralSources`` when the data would come from more than one place."""
        if sum((has_data, self.location is not None, self.copy_from is not None)) > 1:
            raise SeveralSources


def created(blank: Image, said: Description, *, is_admin: bool) -> Image:
    """Return the image that ``said`` describes; ``blank`` has what it does not say."""
    return _applied(blank, said, _properties(blank, said, purge=True), is_admin=is_admin)


def changed(image: Image, said: Description, *, purge: bool, is_admin: bool) -> Image:
    """Return ``image`` with what ``said`` says.

    Args:
        purge: Take away the properties that it does not name.

    Raises:
        FixedAttribute: It says another id or status, another size or checksum of data that is there, or another
            format of it.
        ReservedAttribute: A property has a name that users may not give.
    """
    given = said.fields
    for name in ("id", "status"):
        if given.get(name) is not None and str(given[name]).lower() != str(getattr(image, name)):
            raise FixedAttribute(name)
    if image.status not in FORMATS_MAY_CHANGE:
        for name in ("size", "checksum", "disk_format", "container_format"):
            if given.get(name) is not None and given[name] != (getattr(image, name) or (0 if name == "size" else None)):
                raise FixedAttribute(name, image.status)
    return _applied(image, said, _properties(image, said, purge=purge), is_admin=is_admin)


def _applied(image: Image, said: Description, properties: Mapping[str, str], *, is_admin: bool) -> Image:
    given = said.fields
    names = ["name", "disk_format", "container_format", "protected", "min_ram", "min_disk"]
    if is_admin:
        names.append("owner")  # Source: Glance leaves out what others say of the owner.
    if image.status is Status.QUEUED:
        names += ["size", "checksum"]  # announced; the data must be so
    values = {name: given[name] for name in names if name in given}
    if "is_public" in given:
        values["visibility"] = _visibility(image, is_public=given["is_public"])
    return replace(image, **values, properties=dict(properties))


def _visibility(image: Image, *, is_public: bool) -> Visibility:
    if is_public:
        return Visibility.PUBLIC
    # What v2 calls private, shared or community is all the same here, and stays what it is.
    return Visibility.SHARED if image.visibility is Visibility.PUBLIC else image.visibility


def _properties(image: Image, said: Description, *, purge: bool) -> dict[str, str]:
    # A header folds names: what it says of "Hw-Disk" arrives as "hw_disk" and is meant for that.
    known = {name.lower().replace("-", "_"): name for name in image.properties}
    given = {(name if name in image.properties else known.get(name, name)): v for name, v in said.properties.items()}
    for name, value in given.items():
        if image.properties.get(name) != value and (name in _TAKEN or name.startswith(attributes.RESERVED_PREFIX)):
            raise attributes.ReservedAttribute(name)
    kept = {n: v for n, v in image.properties.items() if not purge or n.startswith(attributes.RESERVED_PREFIX)}
    return {**kept, **given}
