"""The values that stand in a network document: each is checked, and returned in the one spelling that it has.

``where`` names the entry for whoever wrote the document: ``networks[0].routes[1]``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from headwater.instances.addresses import canonical_mac
from headwater.instances.errors import InstanceInvalid

Entry = dict[str, Any]

_PREFIX = re.compile(r"[0-9]{1,3}", re.ASCII)
_NO_MAC = "00:00:00:00:00:00"
_WIDTH = {4: 32, 6: 128}  # bits of an address


def invalid(where: str, problem: str) -> InstanceInvalid:
    """Return the refusal of one entry."""
    return InstanceInvalid("network data", f"{where}: {problem}")


def entries(where: str, parent: Mapping[str, Any], key: str) -> list[Entry]:
    """Return copies of the objects in a list that may be absent."""
    value = parent.get(key, [])
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise invalid(where, f"{key} must be a list of objects")
    return [dict(item) for item in value]


def text(where: str, entry: Mapping[str, Any], key: str) -> str:
    """Return a text that must be there."""
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise invalid(where, f"{key} must be a text that is not empty")
    if not value.isprintable():
        raise invalid(where, f"{key} must be one line without control characters, not {value[:64]!r}")
    return value


def mac(where: str, entry: Mapping[str, Any], key: str) -> str:
    """Return the address of a network interface."""
    value = text(where, entry, key)
    try:
        found = canonical_mac(value)
    except InstanceInvalid as error:
        raise invalid(where, f"{key} must be a MAC address such as fa:16:3e:9c:bf:3d") from error
    if int(found[:2], 16) & 1 or found == _NO_MAC:
        raise invalid(where, f"{key} {found} is no address that an interface has: it is that of a group, or zero")
    return found


def number(where: str, entry: Mapping[str, Any], key: str, least: int, most: int) -> int:
    """Return a whole number within its limits."""
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(where, f"{key} must be a whole number from {least} to {most}")
    return value


def address(where: str, entry: Mapping[str, Any], key: str, version: int | None, *, host: bool = False) -> str:
    """Return an IP address.

    Args:
        version: Of IP, 4 or 6; None takes both.
        host: It is the address of one machine.
    """
    return _address(where, key, text(where, entry, key), version, host=host)


def _address(where: str, key: str, value: str, version: int | None, *, host: bool = False) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError as error:
        raise invalid(where, f"{key} must be an IP address, not {value[:64]!r}") from error
    if version is not None and found.version != version:
        raise invalid(where, f"{key} must be an IPv{version} address, not {value[:64]!r}")
    if host and (found.is_multicast or found.is_unspecified):
        raise invalid(where, f"{key} {value[:64]!r} is no address of one machine")
    return str(found)


def netmask(where: str, entry: Mapping[str, Any], key: str, version: int) -> str:
    """Return a mask of ones, then zeros, as an address; it may be given as the length of its prefix."""
    value = entry.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _PREFIX.fullmatch(value):
        return _mask(where, key, value, version)
    found = address(where, entry, key, version)
    # ``ipaddress`` reads such masks for IPv4 only.
    zeros = (1 << _WIDTH[version]) - 1 - int(ipaddress.ip_address(found))
    if zeros & (zeros + 1):
        raise invalid(where, f"{key} {found!r} is no netmask")
    return found


def interface(where: str, entry: Entry, version: int) -> None:
    """Bring ``ip_address`` and ``netmask`` into the form that all guests read: no prefix length in the first."""
    value, slash, prefix = text(where, entry, "ip_address").partition("/")
    if "%" in value:
        raise invalid(where, "ip_address names a network interface after '%'; link does that")
    entry["ip_address"] = _address(where, "ip_address", value, version, host=True)
    if slash:
        if not _PREFIX.fullmatch(prefix):
            raise invalid(where, "ip_address has a wrong prefix length after '/'")
        mask = _mask(where, "the prefix of ip_address", prefix, version)
        if entry.get("netmask") is not None and netmask(where, entry, "netmask", version) != mask:
            raise invalid(where, f"netmask is another one than the {prefix} bits after ip_address")
        entry["netmask"] = mask
    else:
        entry["netmask"] = netmask(where, entry, "netmask", version)


def _mask(where: str, key: str, prefix: str, version: int) -> str:
    width = _WIDTH[version]
    if int(prefix) > width:
        raise invalid(where, f"{key} has {prefix} bits, and an IPv{version} address has {width}")
    ones = (1 << width) - (1 << (width - int(prefix)))
    return str(ipaddress.IPv4Address(ones) if version == 4 else ipaddress.IPv6Address(ones))
