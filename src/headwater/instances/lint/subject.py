"""A record as rules look at it: its pieces of user data and its network, taken apart once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from headwater.instances.model import Instance
from headwater.instances.network.data import DYNAMIC, STATIC
from headwater.instances.user_data.errors import UserDataUnreadable
from headwater.instances.user_data.kinds import Kind, kind_of
from headwater.instances.user_data.taking_apart import Piece, pieces

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Static:
    """A network with a fixed address."""

    place: str  # in the document: networks[0]
    link: str
    interface: Interface


@dataclass(frozen=True, slots=True)
class Route:
    """A route of a network, the default one too."""

    place: str
    link: str
    to: Network
    via: Address

    @property
    def is_default(self) -> bool:
        return self.to.prefixlen == 0


class Subject:
    """One record that is judged."""

    def __init__(self, instance: Instance, failing: Mapping[str, str] = MappingProxyType({})) -> None:
        self.instance = instance
        self.failing = failing  # services of vendor data, and why

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces of the user data; none when it cannot be read, which another rule says."""
        try:
            return pieces(self.instance.user_data) if self.instance.user_data else []
        except UserDataUnreadable:
            return []

    @property
    def kind(self) -> Kind | None:
        """Of the user data as it is served."""
        return kind_of(self.instance.user_data or b"")

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the pieces that are known."""
        return frozenset(piece.kind.name for piece in self.pieces if piece.kind is not None)

    @property
    def paths(self) -> str:
        """Those of the files, as people read them."""
        return ", ".join(file.path for file in self.instance.files)

    # --- The network -------------------------------------------------------------------------------

    @property
    def links(self) -> list[tuple[str, _Entry]]:
        return self._entries("links")

    @property
    def networks(self) -> list[tuple[str, _Entry]]:
        return self._entries("networks")

    def _entries(self, part: str) -> list[tuple[str, _Entry]]:
        document = self.instance.network_data or {}
        return [(f"{part}[{number}]", entry) for number, entry in enumerate(document.get(part) or ())]

    @cached_property
    def static(self) -> list[Static]:
        """The networks with a fixed address. An older release may have registered what is none."""
        found = []
        for place, network in self.networks:
            if network.get("type") in STATIC:
                prefix = _prefix(network.get("netmask"))
                interface = _interface(f"{network.get('ip_address')}/{prefix}")
                if prefix is not None and interface is not None:
                    found.append(Static(place, str(network.get("link")), interface))
        return found

    @property
    def dynamic_families(self) -> frozenset[int]:
        """The versions of IP for which a network asks others: DHCP, router advertisements."""
        return frozenset(DYNAMIC[network["type"]] for _, network in self.networks if network.get("type") in DYNAMIC)

    @property
    def families(self) -> frozenset[int]:
        return self.dynamic_families | {each.interface.version for each in self.static}

    @cached_property
    def routes(self) -> list[Route]:
        return [route for place, network in self.networks for route in _routes(place, network)]

    @cached_property
    def name_servers(self) -> dict[str, list[str]]:
        """The addresses of DNS servers: of the whole (``services``), of networks, and of their routes."""
        found: dict[str, list[str]] = {"services": [], "networks": [], "routes": []}
        found["services"] += _dns(self.instance.network_data or {})
        for _, network in self.networks:
            found["networks"] += [*_dns(network), *(network.get("dns_nameservers") or ())]
            for route in network.get("routes") or ():
                found["routes"] += _dns(route)
        return found


def _routes(place: str, network: _Entry) -> Iterator[Route]:
    link = str(network.get("link"))
    for number, route in enumerate(network.get("routes") or ()):
        prefix = _prefix(route.get("netmask"))
        to, via = _network(f"{route.get('network')}/{prefix}"), _address(route.get("gateway"))
        if prefix is not None and to is not None and via is not None:
            yield Route(f"{place}.routes[{number}]", link, to, via)
    via = _address(network.get("gateway"))
    if via is not None and network.get("type") in STATIC:
        yield Route(f"{place}.gateway", link, _DEFAULT[via.version], via)


_DEFAULT: Final[dict[int, Network]] = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}


def _dns(entry: _Entry) -> list[str]:
    return [str(each.get("address")) for each in entry.get("services") or () if each.get("type") == "dns"]


def _prefix(netmask: object) -> int | None:
    address = _address(netmask)
    return None if address is None else int(address).bit_count()


def _address(value: object) -> Address | None:
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        return None


def _interface(value: str) -> Interface | None:
    try:
        return ipaddress.ip_interface(value)
    except ValueError:
        return None


def _network(value: str) -> Network | None:
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None
