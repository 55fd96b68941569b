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
from headwater.streams.bootable import LXD, obstacles

RELEASED: Final = "released"
KVM: Final = "kvm"

# The Image API's words for architectures, and Juju's.
ARCHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "x86_64": "amd64",
        "amd64": "amd64",
        "aarch64": "arm64",
        "arm64": "arm64",
        "ppc64le": "ppc64el",
        "ppc64el": "ppc64el",
        "s390x": "s390x",
        "riscv64": "riscv64",
        "i686": "i386",
        "i386": "i386",
        "armv7l": "armhf",
        "armhf": "armhf",
    }
)
# Juju's words for the kinds of guest where it has its own; the glance sync writes the same.
_VIRTS: Final[Mapping[str, str]] = MappingProxyType({"": KVM, "qemu": KVM, "lxc": LXD})
# What images say that name only how the guest runs. Source: Nova, ``objects/fields.py``, VMMode.
_MODES: Final[Mapping[str, str]] = MappingProxyType({"exe": LXD, "xen": "xen", "uml": "uml"})
# Juju asks for these by major version only: centos7, opensuse42.
_MAJOR_ONLY: Final = frozenset({"centos", "opensuse"})

_UBUNTU_VERSION = re.compile(r"([0-9]{2}\.[0-9]{2})(?:\.[0-9]{1,2})?(?: lts)?")
_DISTRO = re.compile(r"[a-z](?:[a-z-]{0,30}[a-z])?")
# It begins with a digit and a distro holds none: no two pairs of them can be joined to the same text.
_VERSION = re.compile(r"[0-9][0-9a-z]*(?:[.-][0-9a-z]+)*")
_WORD = re.compile(r"[a-z][a-z0-9-]{0,31}")
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


def virt_of(guest: str) -> str | None:
    """Return Juju's word for a kind of guest, given in the Image API's words or in its own; ``None`` for no word."""
    virt = guest.strip().lower()
    virt = _VIRTS.get(virt, virt)
    return virt if _WORD.fullmatch(virt) else None


def place(image: Image, virt_types: Collection[str] = (KVM,)) -> Placement | Omission:
    """Return where ``image`` stands in a feed of the kinds of guest ``virt_types``, or why it does not."""
    distro, release, architecture, stream = (
        image.properties.get(name, "").strip().lower()
        for name in ("os_distro", "os_version", "architecture", "simplestreams_stream")
    )
    reasons = list(_hidden(image))
    if not _DISTRO.fullmatch(distro):
        reasons.append("os_distro is not set to the name of a distribution, such as ubuntu")
    version = _version(distro, release)
    if version is None:
        reasons.append("os_version is not set to a version of the distribution, such as 24.04")
    arch = ARCHES.get(architecture)
    if arch is None:
        reasons.append(f"architecture is not one of {', '.join(ARCHES)}")
    if stream and not _WORD.fullmatch(stream):
        reasons.append("simplestreams_stream is not a word such as daily")
    virt = virt_of(_guest(image))
    if virt is None:
        reasons.append("hypervisor_type is not a word such as qemu")
    elif virt not in virt_types:
        reasons.append(f"hypervisor_type makes it one for {virt} guests, and the feed lists {', '.join(virt_types)}")
    reasons += obstacles(image, virt or KVM)
    if reasons or version is None or arch is None or virt is None:
        return Omission(tuple(reasons))
    return Placement(os=distro, version=version, arch=arch, stream=stream or RELEASED, virt=virt)


def _hidden(image: Image) -> Iterator[str]:
    if image.visibility is not Visibility.PUBLIC:
        yield f"its visibility is {image.visibility}, and the feed is for everybody"
    if image.status is not Status.ACTIVE:
        yield f"its status is {image.status}, not active"
    if image.os_hidden:
        yield "it is hidden (os_hidden)"


def _guest(image: Image) -> str:
    """Return what the image says of its kind of guest. Nova reads all of these, and the newer name wins."""
    said = image.properties
    mode = (said.get("hw_vm_mode") or said.get("vm_mode") or "").strip().lower()
    return said.get("img_hv_type") or said.get("hypervisor_type") or _MODES.get(mode, "")


def _version(distro: str, release: str) -> str | None:
    if distro == "ubuntu":
        ubuntu = _UBUNTU_VERSION.fullmatch(release)
        return ubuntu[1] if ubuntu else None
    if len(release) > _LONGEST_VERSION or not _VERSION.fullmatch(release):
        return None
    return distro + (re.split(r"[.-]", release)[0] if distro in _MAJOR_ONLY else release)
