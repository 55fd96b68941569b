"""Ports, subnets and networks of Neutron to network_data.json, as Nova makes it of them (specification section 2.3).

Of a port the first IPv4 and the first IPv6 subnet are described, and of each the first address. One thing is better
than Nova's: the MTU is told where a subnet has DHCP too, since Ironic takes a link without one for broken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headwater.instances.network.data import canonical_network_data
from headwater.instances.sources.openstack.documents import FixedIp, Network, Port, Subnet

# The types that Nova passes on; it calls every other one "phy".
_LINKS: Final = frozenset({"bridge", "dvs", "hw_veb", "hyperv", "ovs", "tap", "vhostuser", "vif"})
_TAP: Final = 14  # characters of an interface's name


def network_data(
    ports: Sequence[Port], subnets: Mapping[str, Subnet], networks: Mapping[str, Network]
) -> dict[str, Any] | None:
    """Return the document; ``None`` when there is nothing to describe, so that guests use DHCP.

    Args:
        subnets, networks: By their ids; those that Neutron did not tell are left out.

    Raises:
        InstanceInvalid: Neutron's answer holds what guests could not use.
    """
    links: list[dict[str, Any]] = []
    described: list[dict[str, Any]] = []
    servers: dict[str, None] = {}
    for port in ports:
        chosen = _chosen(port, subnets)
        if not chosen:
            continue
        name = f"tap{port.id}"[:_TAP]
        link = {
            "id": name,
            "vif_id": port.id,
            "type": port.vif_type if port.vif_type in _LINKS else "phy",
            "mtu": network.mtu if (network := networks.get(port.network_id)) else None,
            "ethernet_mac_address": port.mac_address,
        }
        links.append(link)
        for fixed, subnet in chosen:
            described.append({"id": f"network{len(described)}", **_network(fixed, subnet, name, port.network_id)})
            servers |= dict.fromkeys(subnet.dns_nameservers)
    if not links:
        return None
    return canonical_network_data({"links": links, "networks": described, "services": _dns(servers)})


def _chosen(port: Port, subnets: Mapping[str, Subnet]) -> list[tuple[FixedIp, Subnet]]:
    first: dict[int, tuple[FixedIp, Subnet]] = {}
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is not None and subnet.ip_version in (4, 6):
            first.setdefault(subnet.ip_version, (fixed, subnet))
    return [first[version] for version in sorted(first)]


def _network(fixed: FixedIp, subnet: Subnet, link: str, network_id: str) -> dict[str, Any]:
    """Return what is told of one network, in Nova's order."""
    kind = f"ipv{subnet.ip_version}"
    if subnet.ipv6_address_mode:
        kind = f"{kind}_{subnet.ipv6_address_mode}"
    elif subnet.enable_dhcp:
        return {"type": f"{kind}_dhcp", "link": link, "network_id": network_id}
    routes = (
        []
        if subnet.gateway_ip is None
        else [_route("::/0" if subnet.ip_version == 6 else "0.0.0.0/0", subnet.gateway_ip)]
    )
    return {
        "type": kind,
        "link": link,
        "ip_address": fixed.ip_address,
        "netmask": subnet.cidr.partition("/")[2],
        "routes": [*routes, *(_route(each.destination, each.nexthop) for each in subnet.host_routes)],
        "network_id": network_id,
        "services": _dns(dict.fromkeys(subnet.dns_nameservers)),
    }


def _route(destination: str, gateway: str) -> dict[str, str]:
    try:
        found = ipaddress.ip_network(destination, strict=False)
    except ValueError:
        return {"network": destination, "netmask": "", "gateway": gateway}  # refused by whoever checks the whole
    return {"network": str(found.network_address), "netmask": str(found.netmask), "gateway": gateway}


def _dns(addresses: Mapping[str, None]) -> list[dict[str, str]]:
    return [{"type": "dns", "address": each} for each in addresses]
