"""What kernels and resolvers make of the network data, whoever configures them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from headwater.findings import Level
from headwater.instances.addresses import parted
from headwater.instances.lint.rules import Place, Rule
from headwater.instances.lint.subject import Subject

_LEAST_MTU: Final = 1280  # of IPv6
_MOST_SERVERS: Final = 3


def _mtu_for_ipv6(subject: Subject) -> Iterator[Place]:
    wanting = {each.link for each in subject.static if each.interface.version == 6}
    wanting |= {str(net.get("link")) for _, net in subject.networks if str(net.get("type")).startswith("ipv6")}
    for place, link in subject.links:
        mtu = link.get("mtu")
        if isinstance(mtu, int) and mtu < _LEAST_MTU and link.get("id") in wanting:
            yield f"network_data.{place}.mtu", {"mtu": mtu}


def _mtu_above(subject: Subject) -> Iterator[Place]:
    mtus = {link.get("id"): link.get("mtu") for _, link in subject.links}
    for place, link in subject.links:
        below = mtus.get(link.get("vlan_link")) if link.get("type") == "vlan" else None
        mtu = link.get("mtu")
        if isinstance(mtu, int) and isinstance(below, int) and mtu > below:
            yield f"network_data.{place}.mtu", {"mtu": mtu, "below": below}


def _gateway_unreachable(subject: Subject) -> Iterator[Place]:
    asking = {str(net.get("link")) for _, net in subject.networks if "dhcp" in str(net.get("type"))}
    asking |= {str(net.get("link")) for _, net in subject.networks if net.get("type") == "ipv6_slaac"}
    for route in subject.routes:
        if route.via.is_link_local or route.link in asking:
            continue  # on the link by itself; or in a network that only the guest will know
        nets = [each.interface.network for each in subject.static if each.link == route.link]
        if not any(route.via in net for net in nets if net.version == route.via.version):
            yield f"network_data.{route.place}", {"gateway": route.via, "link": route.link}


def _own_gateway(subject: Subject) -> Iterator[Place]:
    own = {each.interface.ip for each in subject.static}
    for route in subject.routes:
        if route.via in own:
            yield f"network_data.{route.place}", {"gateway": route.via}


def _default_twice(subject: Subject) -> Iterator[Place]:
    for family in (4, 6):
        default = [route for route in subject.routes if route.is_default and route.to.version == family]
        ways = list(dict.fromkeys((route.link, route.via) for route in default))
        if len(ways) > 1:
            yield f"network_data.{default[1].place}", {"family": family, "count": len(ways)}


def _default_missing(subject: Subject) -> Iterator[Place]:
    for family in (4, 6):
        has_static = any(each.interface.version == family for each in subject.static)
        if not has_static or family in subject.dynamic_families:
            continue
        if not any(route.is_default and route.to.version == family for route in subject.routes):
            yield "network_data.networks", {"family": family}


def _dns_missing(subject: Subject) -> Iterator[Place]:
    if subject.static and not subject.dynamic_families and not any(subject.name_servers.values()):
        yield "network_data.services", {}


def _dns_of_other_family(subject: Subject) -> Iterator[Place]:
    servers = [ipaddress.ip_address(each) for each in _servers(subject)]
    families = subject.families
    if servers and len(families) == 1 and not {each.version for each in servers} & families:
        yield "network_data.services", {"has": 10 - next(iter(families)), "only": next(iter(families))}


def _servers(subject: Subject) -> list[str]:
    found = dict.fromkeys(each for servers in subject.name_servers.values() for each in servers)
    return [each for each in found if _is_address(each)]


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _too_many_servers(subject: Subject) -> Iterator[Place]:
    count = len(_servers(subject))
    if count > _MOST_SERVERS:
        yield "network_data.services", {"count": count}


def _address_of_no_network(subject: Subject) -> Iterator[Place]:
    if not subject.static or subject.dynamic_families:
        return
    own = {str(each.interface.ip) for each in subject.static}
    for number, address in enumerate(subject.instance.addresses):
        plain = parted(address)[1]
        if plain not in own and not ipaddress.ip_address(plain).is_link_local:
            yield f"addresses[{number}]", {"address": address}


def _no_host_address(subject: Subject) -> Iterator[Place]:
    for each in subject.static:
        net, address = each.interface.network, each.interface.ip
        if net.version == 4 and net.prefixlen < 31 and address in (net.network_address, net.broadcast_address):
            what = "the network" if address == net.network_address else "all of its machines (broadcast)"
            yield f"network_data.{each.place}.ip_address", {"address": address, "what": what, "network": net}


def _bond_of_one(subject: Subject) -> Iterator[Place]:
    for place, link in subject.links:
        if link.get("type") == "bond" and len(link.get("bond_links") or ()) == 1:
            yield f"network_data.{place}.bond_links", {}


def _link_without_network(subject: Subject) -> Iterator[Place]:
    used = {net.get("link") for _, net in subject.networks}
    for _, link in subject.links:
        used |= {link.get("vlan_link"), *(link.get("bond_links") or ())}
    for place, link in subject.links:
        if link.get("id") not in used:
            yield f"network_data.{place}", {"id": link.get("id")}


RULES: Final = (
    Rule(
        id="mtu-ipv6",
        level=Level.ERROR,
        says="the MTU is {mtu}, and IPv6 needs 1280: the link has no IPv6 at all",
        fix="set 1280 or more, or give the link no IPv6",
        why="the kernel switches IPv6 off on links with a smaller MTU",
        source="RFC 8200 section 5; Linux, addrconf.c",
        judge=_mtu_for_ipv6,
    ),
    Rule(
        id="mtu-vlan",
        level=Level.ERROR,
        says="the MTU of the VLAN is {mtu}, and of the link below {below}",
        fix="set {below} at most, or raise that of the link",
        why="the kernel refuses it, and the VLAN keeps another MTU or does not come up",
        source="Linux, vlan_dev.c: ERANGE above the MTU of the real device",
        judge=_mtu_above,
    ),
    Rule(
        id="gateway-unreachable",
        level=Level.ERROR,
        says="the gateway {gateway} is in no network of the link {link}: the route cannot be set",
        fix="correct the gateway or the netmask, or add the network in which it is",
        why="the kernel answers 'Nexthop has invalid gateway', and the guest has no way out",
        source="Linux, fib_semantics.c; cloud-init and cloudbase-init hand the route on as it is",
        judge=_gateway_unreachable,
    ),
    Rule(
        id="gateway-own",
        level=Level.ERROR,
        says="the gateway {gateway} is an address of the machine itself",
        fix="give the address of the router",
        why="the kernel refuses a route by way of itself",
        source="Linux, fib_semantics.c",
        judge=_own_gateway,
    ),
    Rule(
        id="route-default-twice",
        level=Level.WARNING,
        says="there are {count} default routes for IPv{family}",
        fix="keep one; give the others' networks routes of their own",
        why="which one is taken depends on the renderer and on which link comes up first",
        source="netplan warns of conflicting default routes; ifupdown fails at the second",
        judge=_default_twice,
    ),
    Rule(
        id="route-default-missing",
        level=Level.WARNING,
        says="there is no default route for IPv{family}, and no DHCP or router to give one",
        fix="add a route to {family_any} in the network that leads out, unless the machine is to stay inside",
        why="a guest configures what stands there and nothing else",
        source="cloud-init and cloudbase-init do not derive a gateway from an address",
        judge=lambda subject: (
            (place, {**facts, "family_any": "0.0.0.0/0" if facts["family"] == 4 else "::/0"})
            for place, facts in _default_missing(subject)
        ),
    ),
    Rule(
        id="dns-missing",
        level=Level.WARNING,
        says="all networks are fixed, and no DNS server is named",
        fix="add a service of type dns, with its address, to services",
        why="a guest that asks no DHCP server learns of none otherwise, and packages cannot be installed",
        source="cloud-init's helpers/openstack.py",
        judge=_dns_missing,
    ),
    Rule(
        id="dns-family",
        level=Level.WARNING,
        says="the machine has IPv{only} alone, and its DNS servers have IPv{has} addresses",
        fix="name a server with an IPv{only} address",
        why="it cannot send to them",
        source="neutron bug 1460177 for networks with IPv6 only",
        judge=_dns_of_other_family,
    ),
    Rule(
        id="dns-many",
        level=Level.NOTE,
        says="{count} DNS servers are named, and glibc asks the first three",
        fix="name three",
        why="what is after the third in resolv.conf is not read",
        source="resolv.conf(5), MAXNS",
        judge=_too_many_servers,
    ),
    Rule(
        id="address-elsewhere",
        level=Level.WARNING,
        says="{address} is registered, and no network gives the machine this address",
        fix="register the address that the network data gives, or correct the network data",
        why="the machine asks from the address that it has, and is not known by it",
        source="this service's own rule",
        judge=_address_of_no_network,
    ),
    Rule(
        id="address-of-network",
        level=Level.ERROR,
        says="{address} is the address of {what} in {network}",
        fix="give the machine another one, or correct the netmask",
        why="others do not answer to it",
        source="RFC 1122 section 3.2.1.3",
        judge=_no_host_address,
    ),
    Rule(
        id="bond-of-one",
        level=Level.NOTE,
        says="the bond has one link: nothing takes over when it fails",
        fix="add another link, or use the link itself",
        why="a bond is there for several",
        source="Linux, bonding.rst",
        judge=_bond_of_one,
    ),
    Rule(
        id="link-without-network",
        level=Level.NOTE,
        says="the link {id!r} has no network: it comes up without an address",
        fix="add a network for it, or leave the link out",
        why="guests configure each link that is listed",
        source="cloud-init's helpers/openstack.py makes an interface of type manual",
        judge=_link_without_network,
    ),
)
