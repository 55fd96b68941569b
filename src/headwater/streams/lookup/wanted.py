"""What is looked for, in Juju's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headwater.errors import Invalid
from headwater.streams.lookup.documents import CloudPair

IMAGE_IDS: Final = "image-ids"
CONTENT_DOWNLOAD: Final = "content-download"
RELEASED: Final = "released"


class Juju(StrEnum):
    """Versions of Juju whose searches differ."""

    V2_9 = "2.9"
    V3_6 = "3.6"
    V4 = "4"

    @property
    def arches(self) -> tuple[str, ...]:
        """All that it knows."""
        old = ("amd64", "i386", "armhf", "arm64", "ppc64el", "s390x")
        return old if self is Juju.V2_9 else ("amd64", "arm64", "ppc64el", "s390x", "riscv64")


# Source: Juju's names of the releases of Ubuntu.
_SERIES: Final = {
    "precise": "12.04", "quantal": "12.10", "raring": "13.04", "saucy": "13.10", "trusty": "14.04", "utopic": "14.10",
    "vivid": "15.04", "wily": "15.10", "xenial": "16.04", "yakkety": "16.10", "zesty": "17.04", "artful": "17.10",
    "bionic": "18.04", "cosmic": "18.10", "disco": "19.04", "eoan": "19.10", "focal": "20.04", "groovy": "20.10",
    "hirsute": "21.04", "impish": "21.10", "jammy": "22.04", "kinetic": "22.10", "lunar": "23.04", "mantic": "23.10",
    "noble": "24.04", "resolute": "26.04",
}  # fmt: skip
_OTHER_SERIES: Final = frozenset({"centos7", "centos8", "centos9", "opensuse42", "kubernetes", "genericlinux"})
_KNOWN_4: Final = ("20.04", "22.04", "24.04", "26.04")


class UnknownBase(Invalid):
    """What names an operating system names none."""


def releases_known(juju: Juju) -> tuple[str, ...]:
    """Return the versions of operating systems that a Juju reads back from a directory of metadata."""
    if juju is Juju.V4:
        return _KNOWN_4
    if juju is Juju.V2_9:
        return (*_SERIES.values(), *sorted(_OTHER_SERIES))
    return (*_SERIES.values(), "7", "9", "kubernetes", "genericlinux")


def release_of_series(series: str) -> str:
    """Return the version that stands in product names, such as 22.04 of ``jammy``.

    Raises:
        UnknownBase: Juju knows no such series.
    """
    if series in _OTHER_SERIES:
        return series
    if series not in _SERIES:
        raise UnknownBase(f'attempting to convert "{series}" to a base: series "{series}" not valid')
    return _SERIES[series]


def release_of_base(base: str) -> str:
    """Return the version that stands in product names, such as 22.04 of ``ubuntu@22.04/stable``.

    Source: Juju writes the track of the channel alone, so that CentOS 7 is ``7``; its machines ask for ``centos7``.

    Raises:
        UnknownBase: It is not an operating system and a channel.
    """
    os, at, channel = base.partition("@")
    if not at:
        raise UnknownBase("expected base string to contain os and channel separated by '@'")
    track = channel.partition("/")[0]
    if not os or not track or "@" in channel:
        raise UnknownBase(f'base string "{base}" names no operating system or no channel; it is like ubuntu@24.04')
    return track


def release_for_machine(base: str) -> str:
    """Return the version under which a new machine with this base looks for images.

    Raises:
        UnknownBase: It is not an operating system and a channel.
    """
    release = release_of_base(base)
    return f"centos{release}" if base.startswith("centos@") else release


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSpec:
    """The cloud that is asked for; both empty: any."""

    region: str = ""
    endpoint: str = ""

    def __bool__(self) -> bool:
        return bool(self.region or self.endpoint)

    def is_in(self, clouds: tuple[CloudPair, ...]) -> bool:
        return any(self.is_same(cloud) for cloud in clouds)

    def is_same(self, cloud: CloudPair) -> bool:
        """Compare as Juju does: case and spaces of the region, and one slash after the endpoint, do not count."""
        return _plain(self.region) == _plain(cloud.region) and _slashed(self.endpoint) == _slashed(cloud.endpoint)

    def near_miss(self, clouds: tuple[CloudPair, ...]) -> str:
        """Say what keeps the cloud from being one of ``clouds``, as well as one can."""
        of_region = [cloud.endpoint for cloud in clouds if _plain(cloud.region) == _plain(self.region)]
        if of_region:
            return f"the region is listed with {_some(of_region)}, not with {self.endpoint}"
        of_endpoint = [cloud.region for cloud in clouds if _slashed(cloud.endpoint) == _slashed(self.endpoint)]
        if of_endpoint:
            return f"the endpoint is listed with region {_some(of_endpoint)}, not with {self.region}"
        return f"it is for {_some([f'{cloud.region} {cloud.endpoint}' for cloud in clouds])}"

    def __str__(self) -> str:
        return f"{{{self.region} {self.endpoint}}}"


def _plain(region: str) -> str:
    return region.lower().replace(" ", "")


def _slashed(endpoint: str) -> str:
    return endpoint if endpoint.endswith("/") else f"{endpoint}/"


def _some(values: list[str]) -> str:
    shown = list(dict.fromkeys(values))
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesWanted:
    """Images that a bootstrap or a new machine asks for."""

    cloud: CloudSpec
    releases: tuple[str, ...]
    arches: tuple[str, ...]
    stream: str = ""

    datatype = IMAGE_IDS

    def products(self) -> list[str]:
        """Return the products that are looked at, in this order."""
        stream = "" if self.stream in ("", RELEASED) else f".{self.stream}"
        return [
            f"com.ubuntu.cloud{stream}:server:{release}:{arch}" for release in self.releases for arch in self.arches
        ]

    def content_id(self) -> str | None:
        """Return the only entry of the index that counts; images may stand in every one."""
        return None

    def __str__(self) -> str:
        """Write it as Juju's messages do."""
        return f"&{{{_lookup_params(self.cloud, self.releases, self.arches, self.stream)} ImageID:<nil>}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsWanted:
    """Agents that a bootstrap or a new machine asks for."""

    oses: tuple[str, ...]
    arches: tuple[str, ...]
    version: AgentVersion | None = None  # exactly this one, or else
    major: int = 0
    minor: int = -1  # less than 0: any
    stream: str = RELEASED
    cloud: CloudSpec = CloudSpec()

    datatype = CONTENT_DOWNLOAD

    def products(self) -> list[str]:
        """Return the products that are looked at, in this order."""
        return [f"com.ubuntu.juju:{os}:{arch}" for os in self.oses for arch in self.arches]

    def content_id(self) -> str | None:
        """Return the only entry of the index that counts."""
        return f"com.ubuntu.juju:{self.stream}:agents"

    def takes(self, version: AgentVersion) -> bool:
        if self.version is not None:
            return version == self.version
        return version.major == self.major and (self.minor < 0 or version.minor == self.minor)

    def __str__(self) -> str:
        """Write it as Juju's messages do."""
        exact = self.version or "0.0.0"
        params = _lookup_params(self.cloud, self.oses, self.arches, self.stream)
        return f"&{{{params} Version:{exact} MajorVersion:{self.major} MinorVersion:{self.minor}}}"


def _lookup_params(cloud: CloudSpec, releases: tuple[str, ...], arches: tuple[str, ...], stream: str) -> str:
    where = f"CloudSpec:{{Region:{cloud.region} Endpoint:{cloud.endpoint}}}"
    what = f"Releases:[{' '.join(releases)}] Arches:[{' '.join(arches)}] Stream:{stream}"
    return f"LookupParams:{{{where} {what}}}"


class BadVersion(Invalid):
    """A text is no version of Juju."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid version "{text}"')
        self.text = text


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """A version of Juju: ``1.2``, ``1.2.3``, ``1.2.3.4``, ``1.2-alpha3``, ``1.2-alpha3.4``."""

    major: int
    minor: int
    tag: str = ""
    patch: int = 0
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> AgentVersion:
        """Read a version.

        Raises:
            BadVersion: It is none.
        """
        found = _VERSION.fullmatch(text)
        if found is None:
            raise BadVersion(text)
        major, minor, patch, tag, tagged, build = found.groups()
        return cls(int(major), int(minor), tag or "", int(patch or tagged or 0), int(build or 0))

    @property
    def in_development(self) -> bool:
        return bool(self.tag)

    def __str__(self) -> str:
        patch = f"-{self.tag}{self.patch}" if self.tag else f".{self.patch}"
        return f"{self.major}.{self.minor}{patch}{f'.{self.build}' if self.build else ''}"


_NUMBER = r"([0-9]{1,9})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}(?:\.{_NUMBER}|-([a-z]+){_NUMBER})?(?:\.{_NUMBER})?")


def agent_streams(stream: str, version: AgentVersion | None) -> Iterator[str]:
    """Yield the streams in which agents are looked for, in this order.

    Source: a client that is in development looks into ``devel`` where nothing else is asked for.
    """
    order = ("testing", "devel", "proposed", RELEASED)
    if stream in ("", RELEASED):
        stream = "devel" if version is not None and version.in_development else RELEASED
    yield from order[order.index(stream) :] if stream in order else (stream,)
