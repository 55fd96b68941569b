"""Operating systems as Juju's commands name them: a series such as ``noble``, a base such as ``ubuntu@24.04``."""

from __future__ import annotations

from typing import Final

from headwater.errors import Invalid

DEFAULT_BASE: Final = "ubuntu@24.04"  # Source: Juju 3.6 and 4

# Source: Juju's table of series. CentOS stands as its provisioner asks for it.
_SERIES = {
    "precise": "12.04",
    "quantal": "12.10",
    "raring": "13.04",
    "saucy": "13.10",
    "trusty": "14.04",
    "utopic": "14.10",
    "vivid": "15.04",
    "wily": "15.10",
    "xenial": "16.04",
    "yakkety": "16.10",
    "zesty": "17.04",
    "artful": "17.10",
    "bionic": "18.04",
    "cosmic": "18.10",
    "disco": "19.04",
    "eoan": "19.10",
    "focal": "20.04",
    "groovy": "20.10",
    "hirsute": "21.04",
    "impish": "21.10",
    "jammy": "22.04",
    "kinetic": "22.10",
    "lunar": "23.04",
    "mantic": "23.10",
    "noble": "24.04",
    "oracular": "24.10",
    "plucky": "25.04",
    "questing": "25.10",
    "resolute": "26.04",
    "centos7": "centos7",
    "centos8": "centos8",
    "centos9": "centos9",
    "opensuse42": "opensuse42",
    "kubernetes": "kubernetes",
    "genericlinux": "genericlinux",
}


_UBUNTU: Final = {version: name for name, version in _SERIES.items() if version[0].isdigit()}


class UnknownSeries(Invalid):
    """No version of an operating system is known by this name."""

    def __init__(self, series: str) -> None:
        super().__init__(f'attempting to convert "{series}" to a base: series "{series}" not valid')
        self.series = series


class BadBase(Invalid):
    """What was given is no base."""

    def __init__(self, base: str) -> None:
        super().__init__("expected base string to contain os and channel separated by '@'")
        self.base = base


def ubuntu_series(version: str) -> str | None:
    """Return the name of a version of Ubuntu, such as ``noble``; ``None``: nobody knows one here."""
    return _UBUNTU.get(version)


def ubuntu_version(series: str) -> str | None:
    """Return the version of Ubuntu that has this name, such as 24.04 of ``noble``; ``None``: none is known here."""
    version = _SERIES.get(series, "")
    return version if version in _UBUNTU else None


def version_of(base: str | None = None, series: str | None = None) -> str:
    """Return the version that products of images are named with; that of Juju's default where nothing is given.

    Raises:
        UnknownSeries: As it says.
        BadBase: As it says.
    """
    if series:
        if series not in _SERIES:
            raise UnknownSeries(series)
        return _SERIES[series]
    name, separator, channel = (base or DEFAULT_BASE).partition("@")
    track = channel.partition("/")[0]
    if not separator or not name or not track:
        raise BadBase(base or "")
    return f"{name}{track}" if name.lower() == "centos" else track
