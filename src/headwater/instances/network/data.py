"""The network document of an instance: checked against what guests stumble over, otherwise kept as it was given.

Shape: ``{"links": […], "networks": […], "services": […]}``, as in OpenStack's network_data.json. A guest that reads a
broken one loses its whole metadata or its network, and none says so, so a mistake is refused when the document is
registered. Addresses come into one spelling, because guests compare them as text. Keys that are not known here stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.instances.network.fields import Entry, address, entries, interface, invalid, netmask, text
from headwater.instances.network.links import check_links

# To the version of IP. "static" and "static6" are cloud-init's.
DYNAMIC = {
    "ipv4_dhcp": 4,
    "ipv6_dhcp": 6,
    "ipv6_slaac": 6,
    "ipv6_dhcpv6-stateless": 6,
    "ipv6_dhcpv6-stateful": 6,
}
STATIC = {"ipv4": 4, "ipv6": 6, "static": 4, "static6": 6}
_PARTS = ("links", "networks", "services")


def require_shape(document: object) -> None:
    """Accept a document that can be served; it may have been registered by an older version, which checked less.

    Raises:
        InstanceInvalid: One of its three lists is missing.
    """
    if not isinstance(document, Mapping):
        raise invalid("the document", "must be an object with the lists links, networks and services")
    for part in _PARTS:
        found = document.get(part)
        if not isinstance(found, list | tuple) or not all(isinstance(entry, Mapping) for entry in found):
            raise invalid(part, "must be a list of objects; it may be empty")


def canonical_network_data(document: object) -> dict[str, Any]:
    """Return a document as it is registered.

    A network without ``id`` gets one, and one without ``network_id`` its own ``id``: Nova's schema asks for both, and
    some guests skip a network that lacks them. What ``ip_address`` says of the prefix goes to ``netmask``.

    Raises:
        InstanceInvalid: It lacks something that guests need, or refers to what is not there. The message names the
            entry.
    """
    require_shape(document)
    assert isinstance(document, Mapping)
    found: dict[str, Any] = {**document, **{part: entries(part, document, part) for part in _PARTS}}
    ids = check_links(found["links"])
    _name(found["networks"])
    for position, network in enumerate(found["networks"]):
        _check_network(f"networks[{position}]", network, ids)
    _check_services("services", found["services"], None)
    return found


def _name(networks: list[Entry]) -> None:
    taken: set[str] = set()
    for position, network in enumerate(networks):
        if network.get("id") is None:
            continue
        network_id = text(f"networks[{position}]", network, "id")
        if network_id in taken:
            raise invalid(f"networks[{position}]", f"the id {network_id!r} is used twice")
        taken.add(network_id)
    free = (f"network{number}" for number in range(2 * len(networks)) if f"network{number}" not in taken)
    for position, network in enumerate(networks):
        if network.get("id") is None:
            network["id"] = next(free)
        if network.get("network_id") is None:
            network["network_id"] = network["id"]
        text(f"networks[{position}]", network, "network_id")


def _check_network(where: str, network: Entry, links: frozenset[str]) -> None:
    link = text(where, network, "link")
    if link not in links:
        raise invalid(where, f"link names a link that is not in links: {link[:64]!r}")
    kind = text(where, network, "type")
    version = {**STATIC, **DYNAMIC}.get(kind)
    if version is None:
        raise invalid(where, f"type {kind[:64]!r} is unknown; use one of {', '.join(sorted({*STATIC, *DYNAMIC}))}")
    if kind in STATIC or network.get("ip_address") is not None:
        interface(where, network, version)
    elif network.get("netmask") is not None:
        network["netmask"] = netmask(where, network, "netmask", version)
    # No part of Nova's document; cloud-init reads them all the same.
    for key in ("gateway", "pointopoint", "broadcast"):
        if network.get(key) is not None:
            network[key] = address(where, network, key, version, host=key != "broadcast")
    if network.get("dns_nameservers") is not None:
        network["dns_nameservers"] = _name_servers(where, network["dns_nameservers"])
    if "routes" in network:
        network["routes"] = entries(where, network, "routes")
        for position, route in enumerate(network["routes"]):
            _check_route(f"{where}.routes[{position}]", route, version)
    _check_own_services(where, network, version)


def _check_route(where: str, route: Entry, version: int) -> None:
    route["network"] = address(where, route, "network", version)
    route["netmask"] = netmask(where, route, "netmask", version)
    route["gateway"] = address(where, route, "gateway", version, host=True)
    _check_own_services(where, route, version)


def _check_own_services(where: str, entry: Entry, version: int) -> None:
    if "services" in entry:
        entry["services"] = entries(where, entry, "services")
        _check_services(f"{where}.services", entry["services"], version)


def _check_services(where: str, services: list[Entry], version: int | None) -> None:
    for position, service in enumerate(services):
        here = f"{where}[{position}]"
        if text(here, service, "type") == "dns":
            service["address"] = address(here, service, "address", version, host=True)


def _name_servers(where: str, servers: object) -> list[str]:
    if not isinstance(servers, list | tuple):
        raise invalid(where, "dns_nameservers must be a list of IP addresses")
    return [address(where, {"dns_nameservers": server}, "dns_nameservers", None, host=True) for server in servers]
