"""What tells a machine by its hardware: its SMBIOS UUID, its serial number, and its MAC addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headwater.instances.addresses import canonical_mac
from headwater.instances.devices import Nic
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance

Kind = Literal["uuid", "serial", "mac"]

_MAC_KEYS = ("ethernet_mac_address", "vlan_mac_address")


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a machine is known by, in its one spelling; of a UUID both orders of its bytes, the given one first."""

    kind: Kind
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.values[0]}"


def macs_of(instance: Instance) -> frozenset[str]:
    """Return the MAC addresses of an instance: of its devices, and of the links of its network data."""
    found = {device.mac for device in instance.devices if isinstance(device, Nic)}
    for link in (instance.network_data or {}).get("links") or ():
        if isinstance(link, Mapping):
            found.update(_of_link(link))
    return frozenset(found)


def _of_link(link: Mapping[str, object]) -> set[str]:
    found = set()
    for key in _MAC_KEYS:
        if isinstance(text := link.get(key), str):
            try:
                found.add(canonical_mac(text))
            except InstanceInvalid:  # registered by an older version, which checked less
                continue
    return found
