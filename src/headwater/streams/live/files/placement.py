"""Where an image stands among the image files for LXD and Incus, or why it does not.

What it is follows from the same properties as among the image ids (``live.placement``); ``simplestreams_release`` may
name the release, ``simplestreams_variant`` what sets it apart from others of that release. Images of another stream
than ``released`` are a variant of their own: these readers take the newest version of a product, and know no streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final

from headwater.images.model import Image
from headwater.streams.format.guests import KVM, LXD, virt_of
from headwater.streams.format.layout import RELEASED
from headwater.streams.live.bootable import obstacles
from headwater.streams.live.image_ids import version_name
from headwater.streams.live.placement import UBUNTU, Kind, Omission, guest_of, hidden, kind_of
from headwater.streams.writing import image_metadata
from headwater.streams.writing.image_files import ImageDescription, properties_of
from headwater.streams.writing.juju_bases import ubuntu_series

# What the readers take, by the catalogue's word for it.
ROOTS: Final[Mapping[str, str]] = MappingProxyType(
    {"qcow2": "disk-kvm.img", "squashfs": "squashfs", "root-tar": "root.tar.xz"}
)
_DEFAULT = "default"

_DEBIAN = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
# Bounded so that a variant and a stream together, and all of it as an alias, are what readers take.
_RELEASE = re.compile(r"[a-z0-9][a-z0-9._+-]{0,31}")
_VARIANT = re.compile(r"[a-z0-9][a-z0-9._+-]{0,23}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_DESCRIPTION = 1000  # characters
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class FilePlacement:
    """The place of one image."""

    about: ImageDescription
    ftype: str  # of its data

    @property
    def product_id(self) -> str:
        return self.about.product


def place_files(image: Image, *, for_everybody: bool = True) -> FilePlacement | Omission:
    """Return where the files of ``image`` stand in a feed for everybody, or for some, or why they do not."""
    reasons = list(hidden(image, for_everybody=for_everybody))
    kind = kind_of(image)
    release, variant = (
        image.properties.get(name, "").strip().lower() for name in ("simplestreams_release", "simplestreams_variant")
    )
    if isinstance(kind, Omission):
        reasons += kind.reasons
    if release and not _RELEASE.fullmatch(release):
        reasons.append("simplestreams_release is not a word such as noble")
    if variant and not _VARIANT.fullmatch(variant):
        reasons.append("simplestreams_variant is not a word such as cloud")
    eol = image.properties.get("support_eol", "").strip()
    if eol and _day(eol) is None:
        reasons.append("support_eol is not a date such as 2029-05-31")
    reasons += _not_files(image)
    if reasons or isinstance(kind, Omission):
        return Omission(tuple(reasons))
    return FilePlacement(_description(image, kind, release, variant, eol), ROOTS[image.disk_format or ""])


def made_metadata(image: Image, at: FilePlacement) -> bytes:
    """Return the metadata tarball of an image."""
    about = at.about
    eol = _day(about.support_eol or "")
    expires_at = None if eol is None else int(datetime(eol.year, eol.month, eol.day, tzinfo=UTC).timestamp())
    said = properties_of(about, version_name(image))
    return image_metadata.made(about.arch, image.created_at // _MICROSECONDS, said, expires_at=expires_at).body


def _not_files(image: Image) -> Iterator[str]:
    """Yield why the data of an image is no root that the readers take."""
    if image.disk_format not in ROOTS and image.disk_format is not None:
        yield f"disk_format is {image.disk_format}, and LXD and Incus take {', '.join(ROOTS)}"
    guest = KVM if image.disk_format == "qcow2" else LXD
    virt = virt_of(guest_of(image))
    if virt != guest and (guest == KVM or virt != KVM):
        yield f"hypervisor_type makes it one for {virt or 'unknown'} guests, and of this format {guest} ones are run"
    yield from (each for each in obstacles(image, LXD) if not each.startswith("disk_format"))
    if image.disk_format is not None and not image.os_hash_value:
        yield "os_hash_value is not set: nobody has read all of its data yet"


def _description(image: Image, kind: Kind, release: str, variant: str, eol: str) -> ImageDescription:
    release = release or _release(kind)
    parts = [each for each in (variant, kind.stream if kind.stream != RELEASED else "") if each]
    variant = "-".join(parts) or _DEFAULT
    names = [f"{kind.os}/{name}" for name in dict.fromkeys((release, kind.version))]
    aliases = [*(names if variant == _DEFAULT else ()), *(f"{name}/{variant}" for name in names)]
    text = image.properties.get("description", "").strip()[:_LONGEST_DESCRIPTION]
    return ImageDescription(
        os=kind.os,
        release=release,
        arch=kind.arch,
        variant=variant,
        aliases=tuple(aliases),
        release_title=kind.version,
        version=kind.version,
        support_eol=eol or None,
        requirements=_requirements(image),
        properties={"description": text} if text else {},
    )


def _release(kind: Kind) -> str:
    """Return what people call a release: its code name where it has one that is known here."""
    named = _DEBIAN.get(kind.version) if kind.os == "debian" else None
    if kind.os == UBUNTU:
        named = ubuntu_series(kind.version)
    return named or kind.version


def _requirements(image: Image) -> dict[str, str]:
    # Source: Nova's os_secure_boot; the daemons start a machine with secure boot unless an image says no.
    unsigned = image.properties.get("os_secure_boot", "").strip().lower() == "disabled"
    return {"secureboot": "false"} if unsigned and image.disk_format == "qcow2" else {}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
