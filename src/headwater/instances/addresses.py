"""One spelling for each address, so that equal addresses are equal text.

IPv4 is dotted decimal, IPv6 is the compressed lower-case form, and an IPv4-mapped IPv6 address is
the IPv4 address: a listener on ``::`` sees 10.0.0.5 as ``::ffff:10.0.0.5``.

Two networks may have the same addresses. ``blue/10.0.0.5`` is 10.0.0.5 of the network ``blue``, as the settings name
it; an address alone is of the one that asks the metadata port.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from headwater.instances.errors import InstanceInvalid

# fa:16:3e:9c:bf:3d, also without leading zeros as BSD prints it; FA-16-3E-9C-BF-3D; fa16.3e9c.bf3d; fa163e9cbf3d.
_MAC = re.compile(
    r"[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}|[0-9a-f]{1,2}(?:-[0-9a-f]{1,2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}|[0-9a-f]{12}",
    re.ASCII,
)


NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def canonical(text: str) -> str:
    """Return the one spelling of an address that an instance may have, with its network if it names one.

    Raises:
        InstanceInvalid: It is no address, it has a zone (``%eth0``), no single machine sends from it, or what stands
            before the slash is no name of a network.
    """
    network, slash, plain = text.rpartition("/")
    if slash and not NETWORK_NAME.fullmatch(network):
        raise InstanceInvalid(
            "address",
            f"{text[:128]!r} is neither an address nor NETWORK/ADDRESS; write it as 10.0.0.5 or blue/10.0.0.5",
        )
    address = _parse(plain)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise InstanceInvalid(
            "address",
            f"{text!r} names a network interface; leave out '%{address.scope_id}', and name the network of the "
            f"settings that has it: NETWORK/{str(address).partition('%')[0]}",
        )
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise InstanceInvalid("address", f"{text!r} is no address that one machine sends from")
    return on_network(network, str(address))


def on_network(network: str, address: str) -> str:
    """Return an address of a network as records have it; without the name of one, it is the address alone."""
    return f"{network}/{address}" if network else address


def parted(address: str) -> tuple[str, str]:
    """Return network and plain address of what ``canonical`` returned; the first is empty where it names none."""
    network, _, plain = address.rpartition("/")
    return network, plain


@functools.lru_cache(4096)  # a guest that boots asks thirty times
def canonical_source(text: str) -> str:
    """Return the one spelling of the address that a connection came from; its zone is left out.

    Raises:
        InstanceInvalid: It is no address, such as the name of a UNIX socket.
    """
    return str(_parse(text.partition("%")[0]))


def canonical_mac(text: str) -> str:
    """Return a MAC address in lower case with colons, however it was written.

    Raises:
        InstanceInvalid: It is not six pairs of hex digits.
    """
    lowered = text.lower()
    if not _MAC.fullmatch(lowered):
        raise InstanceInvalid("mac", f"{text[:64]!r} is no MAC address; write it as fa:16:3e:9c:bf:3d")
    pairs = re.split("[:-]", lowered)
    digits = "".join(pair.zfill(2) for pair in pairs) if len(pairs) == 6 else lowered.replace(".", "")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def is_ipv4(address: str) -> bool:
    """Whether canonical text is an IPv4 address."""
    return ":" not in address


def is_one_ipv4(text: str) -> bool:
    """Whether text is the one spelling of an IPv4 address, without a network, from which a machine may send."""
    try:
        return canonical(text) == text and is_ipv4(text) and "/" not in text
    except InstanceInvalid:
        return False


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InstanceInvalid(
            "address", f"{text[:64]!r} is no IPv4 or IPv6 address; write it as 10.0.0.5 or 2001:db8::5"
        ) from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
