"""How an image stands in each live feed: who sees it there, or which property keeps it out and what would help.

``placement`` and ``bootable`` decide, in sentences that each name the property that decided. Here stand the value that
it has and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from headwater.images.model import Image
from headwater.streams.live.files.listing import FileListing
from headwater.streams.live.listing import Listing

IMAGE_IDS: Final = "image-ids"
IMAGE_FILES: Final = "image-files"
_GUESTS: Final = ("img_hv_type", "hypervisor_type", "hw_vm_mode", "vm_mode")

# Property: what to do about it. ``{id}`` is the image's; the arguments are those of ``openstack image set``.
_CURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "visibility": "openstack image set --public {id}",
        "status": "upload its data, or reactivate it: openstack image set --activate {id}",
        "os_hidden": "openstack image set --unhidden {id}",
        "os_distro": "openstack image set --property os_distro=ubuntu {id} (or what it is)",
        "os_version": "openstack image set --property os_version=24.04 {id} (or what it is)",
        "architecture": "openstack image set --property architecture=x86_64 {id} (or what it is)",
        "simplestreams_stream": "openstack image set --property simplestreams_stream=daily {id}, or unset it",
        "simplestreams_release": "openstack image set --property simplestreams_release=noble {id}, or unset it",
        "simplestreams_variant": "openstack image set --property simplestreams_variant=cloud {id}, or unset it",
        "support_eol": "openstack image set --property support_eol=2029-05-31 {id}, or unset it",
        "image_files": "set streams.image_files = true: everybody who reaches the feed may then download public images",
        "os_hash_value": "download the image once, or upload its data here as another image",
        "fingerprint": "nothing, if it is new: a job reads one image after the other (the log tells of failures)",
        "hypervisor_type": "openstack image set --property hypervisor_type=qemu {id}, or set streams.virt_types",
        "disk_format": "upload the disk of a system, in a format that servers boot from, as another image",
        "container_format": "upload the disk itself, as another image with the container format bare",
        "size": "upload its data",
        "image_type": "openstack image set --property image_type=image {id}, if it boots as a fresh system",
        "instance_uuid": "openstack image set --property image_type=image {id}, if it boots as a fresh system",
        "base_image_ref": "openstack image set --property image_type=image {id}, if it boots as a fresh system",
        "block_device_mapping": "make an image of the volume (openstack image create --volume) and publish that",
        "cinder_encryption_key_id": "publish an image that is not encrypted",
        "os_encrypt_key_id": "publish an image that is not encrypted",
    }
)
_PROPERTY: Final = re.compile(r"\b(" + "|".join(_CURES) + r")\b")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One property that keeps an image out of a feed."""

    name: str
    value: str | None  # ``None``: it is not set
    reason: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        return {"property": self.name, "value": self.value, "reason": self.reason, "fix": self.fix}


@dataclass(frozen=True, slots=True)
class Standing:
    """How an image stands in one feed."""

    feed: str
    readers: str  # who reads this feed
    newest: str  # what the newest image of its kind is
    image_id: str
    facts: Mapping[str, Any]  # what ``why`` says
    obstacles: tuple[Obstacle, ...]

    @property
    def is_listed(self) -> bool:
        return bool(self.facts["listed"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: what ``why`` says, and what ``why`` does not."""
        obstacles = [each.to_dict() for each in self.obstacles]
        return {"feed": self.feed, "readers": self.readers, **self.facts, "obstacles": obstacles}


def in_image_ids(listing: Listing) -> Standing:
    """Return how an image stands in the feed of image ids."""
    readers = "Juju and the other readers of image ids"
    return _standing(IMAGE_IDS, readers, "the one that Juju takes", listing.image, listing.to_dict())


def in_image_files(listing: FileListing) -> Standing:
    """Return how an image stands among the image files."""
    readers = "LXD, Incus and the other readers of image files"
    return _standing(IMAGE_FILES, readers, "the one that aliases lead to", listing.image, listing.to_dict())


def _standing(feed: str, readers: str, newest: str, image: Image, facts: Mapping[str, Any]) -> Standing:
    obstacles = tuple(_obstacle(image, reason) for reason in facts["reasons"])
    told = {name: value for name, value in facts.items() if name not in ("image_id", "reasons")}
    return Standing(feed, readers, newest, image.id, told, obstacles)


def _obstacle(image: Image, reason: str) -> Obstacle:
    found = _PROPERTY.search(reason)
    assert found is not None, reason  # a test holds every reason to it
    name = found[1]
    if name == "hypervisor_type":
        name = next((each for each in _GUESTS if image.properties.get(each)), name)
    value = image.properties.get(name) if name not in Image.__dataclass_fields__ else getattr(image, name)
    said = None if value is None else str(value)
    return Obstacle(name, said, reason, _CURES[found[1]].format(id=image.id))
