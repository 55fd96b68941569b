"""Where an image stands in the live feed, or why it does not.

The properties ``os_distro``, ``os_version`` and ``architecture`` decide; ``simplestreams_stream`` may name another
stream than ``released``, and ``hypervisor_type`` says which kind of guest the image is. Whoever may publish images
writes these properties, so each is held to the few forms that a product id can carry: an image that does not fit is
left out, and the others stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from headwater.images.model import Image, Status, Visibility

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
_VIRTS: Final[Mapping[str, str]] = MappingProxyType({"": KVM, "qemu": KVM, "lxc": "lxd"})
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
    """Why an image is not in the feed, as a sentence for its owner."""

    reason: str


def place(image: Image) -> Placement | Omission:
    """Return where ``image`` stands in the feed, or the first reason why it does not."""
    hidden = _hidden(image)
    if hidden:
        return Omission(hidden)
    distro, release, architecture, stream, guest = (
        image.properties.get(name, "").strip().lower()
        for name in ("os_distro", "os_version", "architecture", "simplestreams_stream", "hypervisor_type")
    )
    if not _DISTRO.fullmatch(distro):
        return Omission("os_distro is not set to the name of a distribution, such as ubuntu")
    version = _version(distro, release)
    if version is None:
        return Omission(f"os_version is not set to a version of {distro}, such as 24.04")
    arch = ARCHES.get(architecture)
    if arch is None:
        return Omission(f"architecture is not one of {', '.join(ARCHES)}")
    if stream and not _WORD.fullmatch(stream):
        return Omission("simplestreams_stream is not a word such as daily")
    virt = _VIRTS.get(guest, guest)
    if not _WORD.fullmatch(virt):
        return Omission("hypervisor_type is not a word such as qemu")
    return Placement(os=distro, version=version, arch=arch, stream=stream or RELEASED, virt=virt)


def _hidden(image: Image) -> str | None:
    if image.visibility is not Visibility.PUBLIC:
        return f"its visibility is {image.visibility}, and the feed is for everybody"
    if image.status is not Status.ACTIVE:
        return f"its status is {image.status}, not active"
    return "it is hidden (os_hidden)" if image.os_hidden else None


def _version(distro: str, release: str) -> str | None:
    if distro == "ubuntu":
        ubuntu = _UBUNTU_VERSION.fullmatch(release)
        return ubuntu[1] if ubuntu else None
    if len(release) > _LONGEST_VERSION or not _VERSION.fullmatch(release):
        return None
    return distro + (re.split(r"[.-]", release)[0] if distro in _MAJOR_ONLY else release)
