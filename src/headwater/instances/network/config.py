"""The network document of an instance as cloud-init's own network configuration, versions 1 and 2.

That is what NoCloud media and seeds hold: they have no OpenStack document. Interfaces are found by their MAC address.
Source: cloud-init's reference of both versions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.instances.network.data import STATIC

_Entry = Mapping[str, Any]

# To the keys of version 2, which are netplan's. Whatever else begins with bond_ is for version 1 alone.
_BOND_PARAMETERS = {
    "bond_mode": "mode",
    "bond_miimon": "mii-monitor-interval",
    "bond_xmit_hash_policy": "transmit-hash-policy",
    "bond_lacp_rate": "lacp-rate",
    "bond_updelay": "up-delay",
    "bond_downdelay": "down-delay",
    "bond_min_links": "min-links",
    "bond_ad_select": "ad-select",
    "bond_arp_interval": "arp-interval",
    "bond_arp_validate": "arp-validate",
    "bond_fail_over_mac": "fail-over-mac-policy",
    "bond_primary_reselect": "primary-reselect-policy",
}
_COUNTS = ("min-links", "up-delay", "down-delay", "arp-interval")
_DEFAULTS = ("0.0.0.0/0", "::/0")
_DYNAMIC = {"ipv4_dhcp": "dhcp4", "ipv6_dhcp": "dhcp6"}  # version 1 has the same names for the others


def version_2(document: _Entry) -> dict[str, Any]:
    """Return the configuration in netplan's form, from what ``canonical_network_data`` returned."""
    found: dict[str, Any] = {"version": 2}
    for link in document["links"]:
        networks = _networks(document, link)
        entry = _common_2(networks, _name_servers(document["services"]) if networks else [])
        if link.get("mtu") is not None:
            entry["mtu"] = link["mtu"]
        if link["type"] == "vlan":
            entry |= {"id": link["vlan_id"], "link": link["vlan_link"], "macaddress": link["vlan_mac_address"]}
            kind = "vlans"
        elif link["type"] == "bond":
            entry |= {
                "interfaces": list(link["bond_links"]),
                "macaddress": link["ethernet_mac_address"],
                "parameters": _bond_parameters(link),
            }
            kind = "bonds"
        else:
            entry = {"match": {"macaddress": link["ethernet_mac_address"]}} | entry
            kind = "ethernets"
        found.setdefault(kind, {})[link["id"]] = entry
    return found


def _common_2(networks: Sequence[_Entry], servers: Sequence[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    addresses: list[str] = []
    routes: list[dict[str, Any]] = []
    for network in networks:
        kind = network["type"]
        if kind == "ipv4_dhcp":
            entry["dhcp4"] = True
        elif kind == "ipv6_slaac":
            entry["accept-ra"] = True
        elif kind not in STATIC:
            entry["dhcp6"] = True
        else:
            addresses.append(_with_prefix(network["ip_address"], network["netmask"]))
        for to, via in _routes(network):
            route = {"to": to, "via": via}
            routes.append(route | {"on-link": True} if _is_outside(network, via) else route)
    if addresses:
        entry["addresses"] = addresses
    if routes:
        entry["routes"] = routes
    if found := _distinct([*(each for network in networks for each in _own_name_servers(network)), *servers]):
        entry["nameservers"] = {"addresses": found}
    return entry


def _bond_parameters(link: _Entry) -> dict[str, Any]:
    """Return them with the types of cloud-init's schema: 26.2 warns of others, and netplan takes either."""
    found = {netplan: link[key] for key, netplan in _BOND_PARAMETERS.items() if link.get(key) is not None}
    for name, value in found.items():
        if name == "mii-monitor-interval":
            found[name] = str(value)
        elif name in _COUNTS and str(value).isdecimal():
            found[name] = int(value)
    return found


def version_1(document: _Entry) -> dict[str, Any]:
    """Return the configuration in cloud-init's older form, which names the interfaces: eth0 and so on."""
    names, servers = _names(document["links"]), _name_servers(document["services"])
    config: list[dict[str, Any]] = []
    for link in document["links"]:
        entry: dict[str, Any] = {"name": names[link["id"]]}
        if link["type"] == "vlan":
            entry |= {"type": "vlan", "vlan_id": link["vlan_id"], "vlan_link": names[link["vlan_link"]]}
            entry["mac_address"] = link["vlan_mac_address"]
        elif link["type"] == "bond":
            parameters = {
                key.replace("_", "-", 1): value
                for key, value in link.items()
                if key.startswith("bond_") and key != "bond_links" and value is not None
            }
            entry |= {"type": "bond", "bond_interfaces": [names[each] for each in link["bond_links"]]}
            entry |= {"mac_address": link["ethernet_mac_address"], "params": parameters}
        else:
            entry |= {"type": "physical", "mac_address": link["ethernet_mac_address"]}
        if link.get("mtu") is not None:
            entry["mtu"] = link["mtu"]
        subnets = [_subnet(network, servers) for network in _networks(document, link)]
        if subnets:
            entry["subnets"] = subnets
        config.append(entry)
    if servers:
        config.append({"type": "nameserver", "address": servers})
    return {"version": 1, "config": config}


def _names(links: Sequence[_Entry]) -> dict[str, str]:
    counts = {"eth": 0, "bond": 0}
    found: dict[str, str] = {}
    for link in links:
        if link["type"] != "vlan":
            kind = "bond" if link["type"] == "bond" else "eth"
            found[link["id"]] = f"{kind}{counts[kind]}"
            counts[kind] += 1
    # One may stand on another; those below get their names first.
    left = [link for link in links if link["type"] == "vlan"]
    while left:
        ready = [link for link in left if link["vlan_link"] in found]
        for link in ready:
            found[link["id"]] = f"{found[link['vlan_link']]}.{link['vlan_id']}"
        left = [link for link in left if link["id"] not in found]
    return found


def _subnet(network: _Entry, servers: Sequence[str]) -> dict[str, Any]:
    """Return a network as a subnet; those ``servers`` of all networks that are of its version stand there too, as not
    every renderer writes the others.
    """
    kind, own = network["type"], _own_name_servers(network)
    if kind not in STATIC:
        return {"type": _DYNAMIC.get(kind, kind)} | ({"dns_nameservers": own} if own else {})
    subnet: dict[str, Any] = {
        "type": "static6" if STATIC[kind] == 6 else "static",
        "address": _with_prefix(network["ip_address"], network["netmask"]),
    }
    routes = []
    for to, via in _routes(network):
        if to in _DEFAULTS and "gateway" not in subnet and _is_outside(network, via):
            subnet["gateway"] = via  # of this key alone cloud-init (26.2) looks whether it is on-link
        else:
            routes.append({"destination": to, "gateway": via})
    if routes:
        subnet["routes"] = routes
    of_version = [each for each in servers if ipaddress.ip_address(each).version == STATIC[kind]]
    if found := _distinct([*own, *of_version]):
        subnet["dns_nameservers"] = found
    return subnet


# --- What both read --------------------------------------------------------------------------------


def _networks(document: _Entry, link: _Entry) -> list[_Entry]:
    return [network for network in document["networks"] if network["link"] == link["id"]]


def _routes(network: _Entry) -> Iterator[tuple[str, str]]:
    """Yield destination and gateway of each route, the default one too where it is a key of the network."""
    routes = network.get("routes", ())
    is_static = network["type"] in STATIC
    for route in routes:
        to = _with_prefix(route["network"], route["netmask"])
        if is_static or to not in _DEFAULTS:  # else the network itself says it
            yield to, route["gateway"]
    gateway = network.get("gateway") if is_static else None
    default = _DEFAULTS[0 if STATIC.get(network["type"]) == 4 else 1]
    if gateway is not None and default not in {_with_prefix(each["network"], each["netmask"]) for each in routes}:
        yield default, gateway


def _is_outside(network: _Entry, gateway: str) -> bool:
    """Whether a gateway is no address of its network: such a route fails unless it is said that the link leads there.

    IPv6's link-local addresses are on every link.
    """
    if network["type"] not in STATIC or ipaddress.ip_address(gateway).is_link_local:
        return False
    own = ipaddress.ip_interface(_with_prefix(network["ip_address"], network["netmask"])).network
    return ipaddress.ip_address(gateway) not in own


def _with_prefix(address: str, netmask: str) -> str:
    bits = int(ipaddress.ip_address(netmask))
    return f"{address}/{bits.bit_count()}"


def _own_name_servers(network: _Entry) -> list[str]:
    routes = [each for route in network.get("routes", ()) for each in _name_servers(route.get("services", ()))]
    own = _name_servers(network.get("services", ()))
    return _distinct([*own, *(network.get("dns_nameservers") or ()), *routes])


def _name_servers(services: Sequence[_Entry]) -> list[str]:
    return _distinct([each["address"] for each in services if each["type"] == "dns"])


def _distinct(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
