"""The links of a network document: interfaces of the machine, bonds of several of them, VLANs on either.

A guest finds an interface by its MAC address and builds the others on it, so links refer to what is there, lead to an
interface in the end, and share an address only with what they stand on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headwater.instances.network.fields import Entry, invalid, mac, number, text

BOND_MODES = frozenset(
    {"802.3ad", "balance-rr", "active-backup", "balance-xor", "broadcast", "balance-tlb", "balance-alb"}
)
# Source: Linux, Documentation/networking/bonding.rst
_HASH_POLICIES = ("layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac")
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


def check_links(links: list[Entry]) -> frozenset[str]:
    """Check all links, bring their addresses into one spelling, and return their ids."""
    by_id: dict[str, tuple[str, Entry]] = {}
    for position, link in enumerate(links):
        where = f"links[{position}]"
        link_id = text(where, link, "id")
        if link_id in by_id:
            raise invalid(where, f"the id {link_id!r} is used twice")
        by_id[link_id] = (where, link)
        text(where, link, "type")
        if link.get("mtu") is not None:
            number(where, link, "mtu", 68, 65535)
    stands_on = {link_id: _stands_on(where, link, by_id) for link_id, (where, link) in by_id.items()}
    _require_no_circle(stands_on, by_id)
    _require_own_members(by_id)
    _require_own_vlans(by_id)
    _require_own_addresses(stands_on, by_id)
    return frozenset(by_id)


def address_of(link: Entry) -> str:
    """Return the MAC address of a link that was checked."""
    found: str = link["vlan_mac_address" if link["type"] == "vlan" else "ethernet_mac_address"]
    return found


def _stands_on(where: str, link: Entry, ids: Mapping[str, object]) -> list[str]:
    """Check what a link has because of its type; return the links below it."""
    if link["type"] == "vlan":
        link["vlan_mac_address"] = mac(where, link, "vlan_mac_address")
        if link.get("ethernet_mac_address") is not None:
            link["ethernet_mac_address"] = mac(where, link, "ethernet_mac_address")
        number(where, link, "vlan_id", 1, 4094)
        return [_reference(where, "vlan_link", text(where, link, "vlan_link"), ids)]
    link["ethernet_mac_address"] = mac(where, link, "ethernet_mac_address")
    if link["type"] != "bond":
        return []
    if str(link.get("bond_mode")) not in BOND_MODES:
        raise invalid(where, f"bond_mode must be one of {', '.join(sorted(BOND_MODES))}")
    if link.get("bond_xmit_hash_policy") not in (None, *_HASH_POLICIES):
        raise invalid(where, f"bond_xmit_hash_policy must be one of {', '.join(_HASH_POLICIES)}")
    if link.get("bond_miimon") is not None and not _DIGITS.fullmatch(str(link["bond_miimon"])):
        raise invalid(where, "bond_miimon must be a whole number of milliseconds")
    members = link.get("bond_links")
    if not isinstance(members, list | tuple) or not members:
        raise invalid(where, "bond_links must be a list with the ids of the links in the bond")
    return [_reference(where, "bond_links", member, ids) for member in members]


def _reference(where: str, key: str, link_id: object, ids: Mapping[str, object]) -> str:
    if not isinstance(link_id, str) or link_id not in ids:
        raise invalid(where, f"{key} names a link that is not in links: {str(link_id)[:64]!r}")
    return link_id


def _require_no_circle(stands_on: Mapping[str, list[str]], by_id: Mapping[str, tuple[str, Entry]]) -> None:
    """Take away the links that stand on nothing, again and again; what is left stands on itself."""
    waits = {link_id: len(below) for link_id, below in stands_on.items()}
    above: dict[str, list[str]] = {link_id: [] for link_id in stands_on}
    for link_id, below in stands_on.items():
        for other in below:
            above[other].append(link_id)
    free = [link_id for link_id, count in waits.items() if not count]
    while free:
        for link_id in above[free.pop()]:
            waits[link_id] -= 1
            if not waits[link_id]:
                free.append(link_id)
    circle = next((link_id for link_id, count in waits.items() if count), None)
    if circle is not None:
        raise invalid(by_id[circle][0], f"the link {circle!r} stands on itself, through bond_links or vlan_link")


def _require_own_members(by_id: Mapping[str, tuple[str, Entry]]) -> None:
    """A link is in one bond, once; a bond is in none, which Linux refuses."""
    taken: set[str] = set()
    for where, link in by_id.values():
        for member in link["bond_links"] if link["type"] == "bond" else ():
            if member in taken:
                raise invalid(where, f"bond_links names {member!r}, which is in a bond already")
            if by_id[member][1]["type"] == "bond":
                raise invalid(where, f"bond_links names {member!r}, which is a bond itself")
            taken.add(member)


def _require_own_vlans(by_id: Mapping[str, tuple[str, Entry]]) -> None:
    """A link has each VLAN once; Linux refuses to make it a second time."""
    taken: dict[tuple[str, int], str] = {}
    for link_id, (where, link) in by_id.items():
        if link["type"] == "vlan":
            place = link["vlan_link"], link["vlan_id"]
            if place in taken:
                raise invalid(where, f"vlan_id {place[1]} on {place[0]!r} is that of the link {taken[place]!r} already")
            taken[place] = link_id


def _require_own_addresses(stands_on: Mapping[str, list[str]], by_id: Mapping[str, tuple[str, Entry]]) -> None:
    """Links may share an address when one stands on the other, or when they are VLANs beside each other."""
    sharing: dict[str, list[str]] = {}
    for link_id, (where, link) in by_id.items():
        mine = address_of(link)
        for other in sharing.setdefault(mine, []):
            vlans = link["type"] == by_id[other][1]["type"] == "vlan"
            if not vlans and other not in _below(link_id, stands_on) and link_id not in _below(other, stands_on):
                raise invalid(where, f"the MAC address {mine} belongs to the link {other!r} already")
        sharing[mine].append(link_id)


def _below(link_id: str, stands_on: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [link_id]
    while waiting:
        for other in stands_on[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
