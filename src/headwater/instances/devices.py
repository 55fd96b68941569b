"""Hardware that a guest may want to recognise: the entries of ``devices`` in meta_data.json.

Source: Nova's device metadata, specification sections 2.2 (keys and the versions that show them).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from headwater.instances.addresses import canonical_mac
from headwater.instances.errors import InstanceInvalid

Bus = Literal["pci", "usb", "scsi", "ide", "xen", "none"]


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What all devices carry."""

    bus: Bus = "none"
    address: str = "none"  # as the bus writes it: 0000:00:03.0, 0:0:0:1
    tags: tuple[str, ...] = ()


class Nic(Device, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="nic"):
    """A network interface, found by its MAC address in lower case."""

    mac: str
    vlan: int | None = None
    vf_trusted: bool = False

    def __post_init__(self) -> None:
        if canonical_mac(self.mac) != self.mac:
            raise InstanceInvalid("mac", f"{self.mac!r}: write it in lower case with colons")
        if self.vlan is not None and not 0 < self.vlan < 4095:
            raise InstanceInvalid("vlan", f"{self.vlan} is no VLAN id; they go from 1 to 4094")


class Disk(Device, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="disk"):
    """A disk, found by its serial number or path."""

    serial: str | None = None
    path: str | None = None


class Share(Device, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="share"):
    """A shared file system, found by its mount tag."""

    share_id: str
    tag: str
