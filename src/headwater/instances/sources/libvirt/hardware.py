"""A domain's interfaces, disks and size: as ``devices``, network_data.json and an instance type tell them to guests.

Source: libvirt's documentation of the domain XML, and Nova's device metadata for how each bus writes an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element

from headwater.instances.addresses import canonical_mac
from headwater.instances.devices import Bus, Disk, Nic
from headwater.instances.errors import InstanceInvalid

_BUSES: Final[dict[str, Bus]] = {
    "virtio": "pci",
    "scsi": "scsi",
    "ide": "ide",
    "usb": "usb",
    "xen": "xen",
    "sata": "scsi",
}
# Bytes. Source: virScaleInteger of libvirt, which takes small letters too.
_UNITS: Final = {
    "b": 1,
    "bytes": 1,
    **{name: 1000**power for power, letter in enumerate("kmgtpe", 1) for name in (f"{letter}b",)},
    **{name: 1024**power for power, letter in enumerate("kmgtpe", 1) for name in (letter, f"{letter}ib")},
}
_MIB: Final = 1 << 20
# What names the network that an interface is in, by the type of the interface.
_NETWORKS: Final = ("network", "bridge", "dev", "portgroup")


def devices(domain: Element) -> tuple[Nic | Disk, ...]:
    """Return interfaces, tagged with the name of their network or bridge, and disks; removable media are none.

    Raises:
        InstanceInvalid: An interface has no MAC address that can be one.
    """
    return (*(_nic(each) for each in domain.iterfind("devices/interface")), *_disks(domain))


def instance_type(domain: Element) -> str | None:
    """Return processors and memory as one name, such as ``2cpu-2048mib``; ``None`` when the domain tells not both."""
    memory, processors = domain.find("memory"), domain.find("vcpu")
    if memory is None or processors is None:
        return None
    amount, count = _number(memory.text), _number(processors.text)
    unit = _UNITS.get(memory.get("unit", "KiB").lower())
    if amount is None or count is None or unit is None:
        return None
    return f"{count}cpu-{amount * unit // _MIB}mib"


def addresses(domain: Element) -> list[str]:
    """Return the addresses that the domain gives its interfaces itself, in order."""
    return [ip.attrib["address"] for ip in domain.iterfind("devices/interface/ip") if "address" in ip.attrib]


def network_data(domain: Element) -> dict[str, Any] | None:
    """Return network_data.json where the domain gives an address to an interface; ``None``: a guest does as it likes.

    An interface without one has DHCP there, since a document that leaves it out would take its network away.
    """
    if not addresses(domain):
        return None
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    for position, interface in enumerate(domain.iterfind("devices/interface")):
        link: dict[str, Any] = {"id": f"interface{position}", "type": "phy", "ethernet_mac_address": _mac(interface)}
        size = _number(_attribute(interface, "mtu", "size"))
        if size is not None:
            link["mtu"] = size
        links.append(link)
        known = [{"link": link["id"], **each} for each in _static(interface)]
        networks += known or [{"link": link["id"], "type": "ipv4_dhcp"}]
    return {"links": links, "networks": networks, "services": []}


def _static(interface: Element) -> Iterator[dict[str, Any]]:
    first = set()
    for ip in interface.iterfind("ip"):
        address = ip.get("address", "")
        kind = "ipv6" if ":" in address else "ipv4"
        prefix = ip.get("prefix") or ("64" if kind == "ipv6" else "24")
        routes = [] if kind in first else [_route(each) for each in interface.iterfind("route") if _kind(each) == kind]
        first.add(kind)
        yield {"type": kind, "ip_address": address, "netmask": prefix, "routes": routes}


def _kind(route: Element) -> str:
    return "ipv6" if route.get("family") == "ipv6" else "ipv4"


def _route(route: Element) -> dict[str, str]:
    zero = "::" if _kind(route) == "ipv6" else "0.0.0.0"  # noqa: S104 - no address to listen at
    mask = route.get("prefix") or route.get("netmask") or "0"
    return {"network": route.get("address") or zero, "netmask": mask, "gateway": route.get("gateway", "")}


def _nic(interface: Element) -> Nic:
    source = interface.find("source")
    named = None if source is None else next((source.get(key) for key in _NETWORKS if source.get(key)), None)
    vlan = _number(_attribute(interface, "vlan/tag", "id"))
    bus, address = _place(interface, None)
    return Nic(mac=_mac(interface), vlan=vlan or None, bus=bus, address=address, tags=(named,) if named else ())


def _mac(interface: Element) -> str:
    found = _attribute(interface, "mac", "address")
    if found is None:
        raise InstanceInvalid("interface", "it has no MAC address; 'virsh dumpxml' prints what libvirt gave it")
    return canonical_mac(found)


def _disks(domain: Element) -> Iterator[Disk]:
    for disk in domain.iterfind("devices/disk"):
        if disk.get("device", "disk") not in ("disk", "lun"):
            continue
        name = _attribute(disk, "target", "dev")
        bus, address = _place(disk, _attribute(disk, "target", "bus"))
        serial = (disk.findtext("serial") or "").strip() or None
        yield Disk(serial=serial, path=f"/dev/{name}" if name else None, bus=bus, address=address)


def _place(device: Element, bus: str | None) -> tuple[Bus, str]:
    """Return the bus of a device, and its address there as Nova writes it."""
    address = device.find("address")
    kind = None if address is None else address.get("type")
    if address is not None and kind == "pci":
        domain, number, slot, function = (_hex(address.get(key)) for key in ("domain", "bus", "slot", "function"))
        return "pci", f"{domain:04x}:{number:02x}:{slot:02x}.{function:x}"
    found = _BUSES.get(bus or "", "none")
    if address is not None and kind == "drive" and found in ("scsi", "ide"):
        parts = ("controller", "bus") if found == "ide" else ("controller", "bus", "target", "unit")
        return found, ":".join(str(_number(address.get(part)) or 0) for part in parts)
    return found if kind in ("drive", "usb") or found == "xen" else "none", "none"


def _attribute(element: Element, path: str, name: str) -> str | None:
    found = element.find(path)
    return None if found is None else found.get(name)


def _number(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdecimal() and len(stripped) < 20 else None


def _hex(text: str | None) -> int:
    try:
        return int((text or "0")[:12], 16)
    except ValueError:
        return 0
