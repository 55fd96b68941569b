"""Who is asking, by what its hardware says: a path with its SMBIOS UUID, its serial number or a MAC address.

cloud-init writes them into ``ds=nocloud;s=http://HOST/seed/uuid/__dmi.system-uuid__/``, so that one argument, or one
image, serves many machines. None of them is a secret: such paths are there on networks that the settings trust alone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headwater.instances.addresses import canonical_mac
from headwater.instances.callers.seeds import ROOT
from headwater.instances.devices import Nic
from headwater.instances.errors import IdentifierUnknown, InstanceInvalid
from headwater.instances.model import SERIAL, Instance
from headwater.instances.names import is_uuid

Kind = Literal["uuid", "serial", "mac"]

_PATH = re.compile(rf"{ROOT}(uuid|serial|mac)/([^/]*)(?:/(.*))?", re.DOTALL)
_MAC_KEYS = ("ethernet_mac_address", "vlan_mac_address")


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a machine is known by, in its one spelling; of a UUID both orders of its bytes, the given one first."""

    kind: Kind
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.values[0]}"


def identifier_in(path: str) -> tuple[Identifier, str] | None:
    """Return what a path names its machine by, and what follows; ``None`` for a path of another kind.

    Raises:
        IdentifierUnknown: It names none, or what no machine has.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    kind, text, rest = found[1], found[2], found[3] or ""
    if kind == "uuid" and is_uuid(text.lower()):
        given = uuid.UUID(text)
        # Some firmware gives the first three fields as the little-endian numbers that SMBIOS 2.6 makes of them.
        return Identifier("uuid", tuple(dict.fromkeys((str(given), str(uuid.UUID(bytes=given.bytes_le)))))), rest
    if kind == "serial" and SERIAL.fullmatch(text):
        return Identifier("serial", (text,)), rest
    if kind == "mac":
        try:
            return Identifier("mac", (canonical_mac(text),)), rest
        except InstanceInvalid as error:
            raise IdentifierUnknown(kind, text) from error
    raise IdentifierUnknown(kind, text)


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
