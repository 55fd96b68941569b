"""The network document of an instance: checked against what guests stumble over, otherwise kept as it was given.

Shape: ``{"links": […], "networks": […], "services": […]}``, as in OpenStack's network_data.json. A
guest that reads a broken one loses its whole metadata or its network, so a mistake is refused when
the document is registered. Keys that are not known here stay.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from headwater.instances.addresses import canonical_mac
from headwater.instances.errors import InstanceInvalid

_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
BOND_MODES = frozenset(
    {"802.3ad", "balance-rr", "active-backup", "balance-xor", "broadcast", "balance-tlb", "balance-alb"}
)
DYNAMIC = frozenset({"ipv4_dhcp", "ipv6_dhcp", "ipv6_slaac", "ipv6_dhcpv6-stateless", "ipv6_dhcpv6-stateful"})
STATIC = {"ipv4": 4, "ipv6": 6, "static": 4, "static6": 6}  # to the version of IP


def require_network_data(document: object) -> None:
    """Accept a network document.

    Raises:
        InstanceInvalid: It lacks something that guests need, or refers to what is not there. The
            message names the entry.
    """
    if not isinstance(document, Mapping):
        raise _invalid("the document", "must be an object with the lists links, networks and services")
    for part in ("links", "networks", "services"):
        entries = document.get(part)
        if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
            raise _invalid(part, "must be a list of objects; it may be empty")
    links = _links(document["links"])
    for number, network in enumerate(document["networks"]):
        _network(f"networks[{number}]", network, links)
    _services("services", document["services"])


def _links(entries: list[Mapping[str, Any]]) -> frozenset[str]:
    ids: set[str] = set()
    for number, link in enumerate(entries):
        where = f"links[{number}]"
        link_id = _text(where, link, "id")
        if link_id in ids:
            raise _invalid(where, f"the id {link_id!r} is used twice")
        ids.add(link_id)
        _text(where, link, "type")
        mtu = link.get("mtu")
        if mtu is not None and (not isinstance(mtu, int) or isinstance(mtu, bool) or not 68 <= mtu <= 65535):
            raise _invalid(where, "mtu must be a whole number from 68 to 65535, or null")
    for number, link in enumerate(entries):
        _kind(f"links[{number}]", link, ids)
    return frozenset(ids)


def _kind(where: str, link: Mapping[str, Any], ids: set[str]) -> None:
    if link["type"] == "vlan":
        _mac(where, link, "vlan_mac_address")
        vlan_id = link.get("vlan_id")
        if not isinstance(vlan_id, int) or isinstance(vlan_id, bool) or not 0 < vlan_id < 4095:
            raise _invalid(where, "vlan_id must be a whole number from 1 to 4094")
        _refers(where, "vlan_link", _text(where, link, "vlan_link"), ids)
        return
    _mac(where, link, "ethernet_mac_address")
    if link["type"] == "bond":
        if str(link.get("bond_mode")) not in BOND_MODES:
            raise _invalid(where, f"bond_mode must be one of {', '.join(sorted(BOND_MODES))}")
        members = link.get("bond_links")
        if not isinstance(members, list | tuple) or not members:
            raise _invalid(where, "bond_links must be a list with the ids of the links in the bond")
        for member in members:
            _refers(where, "bond_links", member, ids)


def _network(where: str, network: Mapping[str, Any], links: frozenset[str]) -> None:
    _refers(where, "link", _text(where, network, "link"), links)
    kind = _text(where, network, "type")
    version = STATIC.get(kind)
    if version is None and kind not in DYNAMIC:
        raise _invalid(where, f"type {kind[:64]!r} is unknown; use one of {', '.join(sorted({*STATIC, *DYNAMIC}))}")
    if version is not None:
        address, _, prefix = _text(where, network, "ip_address").partition("/")
        _address(where, "ip_address", address, version)
        if not prefix:
            _netmask(where, _text(where, network, "netmask"), version)
        elif not _PREFIX.fullmatch(prefix) or int(prefix) > (32 if version == 4 else 128):
            raise _invalid(where, "ip_address has a wrong prefix length after '/'")
    for number, route in enumerate(_objects(where, network, "routes")):
        for key in ("network", "netmask", "gateway"):
            _address(f"{where}.routes[{number}]", key, _text(f"{where}.routes[{number}]", route, key), None)
    _services(f"{where}.services", _objects(where, network, "services"))


def _services(where: str, services: list[Mapping[str, Any]]) -> None:
    for number, service in enumerate(services):
        if _text(f"{where}[{number}]", service, "type") == "dns":
            _address(f"{where}[{number}]", "address", _text(f"{where}[{number}]", service, "address"), None)


def _objects(where: str, entry: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = entry.get(key, [])
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise _invalid(where, f"{key} must be a list of objects")
    return list(value)


def _text(where: str, entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise _invalid(where, f"{key} must be a text that is not empty")
    return value


def _mac(where: str, link: Mapping[str, Any], key: str) -> None:
    try:
        canonical_mac(_text(where, link, key))
    except InstanceInvalid as error:
        raise _invalid(where, f"{key} must be a MAC address such as fa:16:3e:9c:bf:3d") from error


def _refers(where: str, key: str, link_id: object, ids: frozenset[str] | set[str]) -> None:
    if not isinstance(link_id, str) or link_id not in ids:
        raise _invalid(where, f"{key} names a link that is not in links: {str(link_id)[:64]!r}")


def _address(where: str, key: str, text: str, version: int | None) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise _invalid(where, f"{key} must be an IP address, not {text[:64]!r}") from error
    if version is not None and address.version != version:
        raise _invalid(where, f"{key} must be an IPv{version} address, not {text[:64]!r}")


def _netmask(where: str, text: str, version: int) -> None:
    """A mask of either version: ones, then zeros. ``ipaddress`` reads such masks for IPv4 only."""
    _address(where, "netmask", text, version)
    width = 32 if version == 4 else 128
    zeros = (1 << width) - 1 - int(ipaddress.ip_address(text))
    if zeros & (zeros + 1):
        raise _invalid(where, f"netmask {text[:64]!r} is no netmask")


def _invalid(where: str, problem: str) -> InstanceInvalid:
    return InstanceInvalid("network data", f"{where}: {problem}")
