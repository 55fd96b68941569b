"""Where an image stands in the live feed, or why it does not.

The properties ``os_distro``, ``os_version`` and ``architecture`` decide; ``simplestreams_stream`` may name another
stream than ``released``, and ``hypervisor_type`` says which kind of guest the image is. Whoever may publish images
writes these properties, so each is held to the few forms that a product id can carry: an image that does not fit is
left out, and the others stay. So is one that does not boot as a fresh server (``bootable``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from headwater.images.model import Image, Status, Visibility
from headwater.streams.format.arches import JUJU_ARCHES
from headwater.streams.format.guests import KVM, LXD, WORD, virt_of
from headwater.streams.format.layout import RELEASED
from headwater.streams.live.bootable import obstacles

UBUNTU: Final = "ubuntu"

# What images say that name only how the guest runs. Source: Nova, ``objects/fields.py``, VMMode.
_MODES: Final[Mapping[str, str]] = MappingProxyType({"exe": LXD, "xen": "xen", "uml": "uml"})
# Juju asks for these by major version only: centos7, opensuse42.
_MAJOR_ONLY: Final = frozenset({"centos", "opensuse"})

_UBUNTU_VERSION = re.compile(r"([0-9]{2}\.[0-9]{2})(?:\.[0-9]{1,2})?(?: lts)?")
_DISTRO = re.compile(r"[a-z](?:[a-z-]{0,30}[a-z])?")
# It begins with a digit and a distro holds none: no two pairs of them can be joined to the same text.
_VERSION = re.compile(r"[0-9][0-9a-z]*(?:[.-][0-9a-z]+)*")
_LONGEST_VERSION = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The place of one image: its product, and the kind of guest inside it."""

    os: str
    version: str  # as Juju asks for it: 24.04, centos7, debian12
    arch: str
    stream: str
    virt: str

    @property
    def product_id(self) -> str:
        stream = "" if self.stream == RELEASED else f".{self.stream}"
        return f"com.ubuntu.cloud{stream}:server:{self.version}:{self.arch}"


@dataclass(frozen=True, slots=True)
class Omission:
    """Why an image is not in the feed: every reason there is, as sentences for its owner."""

    reasons: tuple[str, ...]


def place(image: Image, virt_types: Collection[str] = (KVM,), *, for_everybody: bool = True) -> Placement | Omission:
    """Return where ``image`` stands in a feed of the kinds of guest ``virt_types``, or why it does not.

    Args:
        for_everybody: The feed is, so that only public images are in it.
    """
    reasons = list(hidden(image, for_everybody=for_everybody))
    kind = kind_of(image)
    if isinstance(kind, Omission):
        reasons += kind.reasons
    virt = virt_of(guest_of(image))
    if virt is None:
        reasons.append("hypervisor_type is not a word such as qemu")
    elif virt not in virt_types:
        reasons.append(f"hypervisor_type makes it one for {virt} guests, and the feed lists {', '.join(virt_types)}")
    reasons += obstacles(image, virt or KVM)
    if reasons or isinstance(kind, Omission) or virt is None:
        return Omission(tuple(reasons))
    major = kind.os in _MAJOR_ONLY
    version = re.split(r"[.-]", kind.version)[0] if major else kind.version
    named = version if kind.os == UBUNTU else f"{kind.os}{version}"
    return Placement(os=kind.os, version=named, arch=kind.arch, stream=kind.stream, virt=virt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What system an image holds, as its properties say."""

    os: str
    version: str  # as the distribution numbers it: 24.04, 12, 9-stream
    arch: str  # in Juju's words
    stream: str


def kind_of(image: Image) -> Kind | Omission:
    """Return what system an image holds, or what about its properties does not say so."""
    distro, release, architecture, stream = (
        image.properties.get(name, "").strip().lower()
        for name in ("os_distro", "os_version", "architecture", "simplestreams_stream")
    )
    reasons = []
    if not _DISTRO.fullmatch(distro):
        reasons.append("os_distro is not set to the name of a distribution, such as ubuntu")
    version = _version(distro, release)
    if version is None:
        reasons.append("os_version is not set to a version of the distribution, such as 24.04")
    arch = JUJU_ARCHES.get(architecture)
    if arch is None:
        reasons.append(f"architecture is not one of {', '.join(JUJU_ARCHES)}")
    if stream and not WORD.fullmatch(stream):
        reasons.append("simplestreams_stream is not a word such as daily")
    if reasons or version is None or arch is None:
        return Omission(tuple(reasons))
    return Kind(os=distro, version=version, arch=arch, stream=stream or RELEASED)


def hidden(image: Image, *, for_everybody: bool = True) -> Iterator[str]:
    """Yield what keeps an image out of a feed, for everybody or for one project, as sentences for its owner."""
    if for_everybody and image.visibility is not Visibility.PUBLIC:
        yield f"its visibility is {image.visibility}, and the feed is for everybody"
    if image.status is not Status.ACTIVE:
        yield f"its status is {image.status}, not active"
    if image.os_hidden:
        yield "it is hidden (os_hidden)"


def guest_of(image: Image) -> str:
    """Return what the image says of its kind of guest. Nova reads all of these, and the newer name wins."""
    said = image.properties
    mode = (said.get("hw_vm_mode") or said.get("vm_mode") or "").strip().lower()
    return said.get("img_hv_type") or said.get("hypervisor_type") or _MODES.get(mode, "")


def _version(distro: str, release: str) -> str | None:
    if distro == UBUNTU:
        ubuntu = _UBUNTU_VERSION.fullmatch(release)
        return ubuntu[1] if ubuntu else None
    if len(release) > _LONGEST_VERSION or not _VERSION.fullmatch(release):
        return None
    return release
