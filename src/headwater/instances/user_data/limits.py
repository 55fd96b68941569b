"""How much user data the ways to a guest carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a guest."""

    name: str
    most: int  # bytes of user data, as it is given
    source: str

    def takes(self, size: int) -> bool:
        return size <= self.most


def _bytes_of_base64(characters: int) -> int:
    return characters // 4 * 3


WAYS: Final = (
    Way("headwater", 64 * 1024, "what is registered here"),
    Way("openstack", _bytes_of_base64(65535), "Nova's API: 65535 characters of base64"),
    Way("ec2", 16 * 1024, "EC2's API: 16 KB before base64"),
    Way("ironic", 64 * 1000 * 1000, "Ironic: a config drive of 64 MB, kept outside its database above 64 KB"),
    Way("config-drive", 64 * 1024 * 1024, "Nova's VFAT drives have 64 MiB for everything; ISO 9660 has no such limit"),
    Way("nocloud", 64 * 1024 * 1024, "no limit of cloud-init's; what is registered here counts"),
    Way("smbios", _bytes_of_base64(65535 - 1024), "SMBIOS 2 tables have 64 KiB together, and it travels as base64"),
    Way("fw_cfg", 128 * 1024 - 64, "one argument of a command line has 128 KiB; in a file (file=) more"),
)


def too_large_for(size: int) -> list[Way]:
    """Return the ways that do not carry so many bytes."""
    return [way for way in WAYS if not way.takes(size)]
