"""Names of architectures: those that images have in the Image API, and those that Juju asks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# By either name, Juju's.
JUJU_ARCHES: Final[Mapping[str, str]] = MappingProxyType(
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
