"""Which URLs Headwater fetches for others: the filter against being sent to places that only it can reach.

A URL is read once, strictly, into a ``Target``; nothing reads its text again, so no second parser can see another
host in it. Only one spelling of a host is taken: a dotted IPv4 address of four decimal numbers, an IPv6
address in its shortest form, or a name in ASCII letters. ``127.1``, ``0x7f000001`` and ``2130706433`` are none.

A name is judged by the addresses that it has, at the moment of connecting: ``addresses`` resolves, drops what is
not to be reached, and the connection is made to what it returns and to nothing else. Addresses that carry
an IPv4 address inside (mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP) are judged by that one too.

Source of the lists and their meaning: Glance's section ``[import_filtering_opts]``. Here what a
``disallowed`` list names is refused also where an ``allowed`` list exists (``docs/decisions/0009-fetching-urls.md``).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from headwater.config import Section
from headwater.errors import Invalid

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

MAX_URL = 2048  # characters
_DEFAULT_PORT = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
# Printable ASCII without space, '"', '<', '>', '\', '^', '`', '{', '|' and '}'. Source: RFC 3986, appendix A.
_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label: some readers take the name for an IPv4 address

# What no public server has. Carrier-grade NAT and RFC 1918 are ``private``, these are refused always.
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in ("0.0.0.0/8", "240.0.0.0/4", "64:ff9b:1::/48", "fe80::/10", "fec0::/10", "100::/64")
)
# Not public, and some Pythons call them global: RFC 6890 (but for what Python 3.13 makes of it), RFC 7526, RFC 9637.
_NOT_PUBLIC = tuple(ipaddress.ip_network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
# Clouds give machines their secrets here. Those in 169.254.0.0/16 and fe80::/10 are link-local anyway.
_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
# IPv6 networks whose last 32 bits are an IPv4 address: NAT64 (RFC 6052), IPv4-compatible (RFC 4291) and
# IPv4-translated (RFC 2765).
_IPV4_AT_END = tuple(ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96"))
# What may be public of IPv6: the only space that is given out, and IPv4 in it, which is judged by itself. Meshes,
# segment routing and sites use what lies outside, which Python calls global.
_PUBLIC_V6 = (ipaddress.IPv6Network("2000::/3"), *_IPV4_AT_END)
_ISATAP = 0x5EFE  # RFC 5214: these bits before an IPv4 address, in whatever network


class UrlRefused(Invalid):
    """Headwater does not fetch this URL. The message names no user, password or query."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{redacted(url)} is refused: {reason}")
        self.reason = reason


class NotResolved(UrlRefused):
    """The host's name has no address at the moment."""


class UrlFilterSettings(Section):
    """Which URLs that callers give may be fetched. A list that is empty says nothing."""

    allowed_schemes: Annotated[
        tuple[str, ...], Field(description='Schemes that are fetched: "http", "https" or both.')
    ] = ("http", "https")
    disallowed_schemes: Annotated[tuple[str, ...], Field(description="Schemes that are not.")] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Field(
            description="Names or addresses, as they stand in the URL: only these are asked. They may also be "
            "loopback, link-local or private."
        ),
    ] = ()
    disallowed_hosts: Annotated[
        tuple[str, ...],
        Field(description="Names, addresses or networks (10.0.0.0/8) that are never asked, whatever name leads there."),
    ] = ()
    allowed_ports: Annotated[tuple[int, ...], Field(description="Ports that are asked.")] = (80, 443)
    disallowed_ports: Annotated[tuple[int, ...], Field(description="Ports that are never asked.")] = ()
    private_networks: Annotated[
        bool,
        Field(description="Ask also addresses that are not public, such as 10.0.0.0/8, 192.168.0.0/16 and fc00::/7."),
    ] = False
    allowed_networks: Annotated[
        tuple[str, ...],
        Field(
            description="Networks that are not public and are asked all the same, such as 10.20.0.0/16. Loopback, "
            "link-local and the metadata addresses of clouds are asked for a host in allowed_hosts only."
        ),
    ] = ()

    @field_validator("allowed_schemes")
    @classmethod
    def _http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not set(value) <= set(_DEFAULT_PORT):
            raise ValueError('only "http" and "https" can be fetched')
        return value

    @field_validator("allowed_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(network)) for network in value)

    @field_validator("allowed_hosts", "disallowed_hosts")
    @classmethod
    def _spelled(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(host.strip("[]").lower() for host in value)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was read."""

    scheme: str
    host: str  # lower case, without brackets
    port: int
    path: str  # with the query, as it is sent; a fragment stays here

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """``HOST`` or ``HOST:PORT``, as the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT.get(self.scheme) else f"{host}:{self.port}"


def redacted(url: str) -> str:
    """Return what a log or an error may say of ``url``: no user, no password, no query, no fragment."""
    match = _URL.fullmatch(url[:MAX_URL])
    if match is None or not _CHARACTERS.fullmatch(url[:MAX_URL]):
        return "the URL"
    return f"{match['scheme']}://{match['authority'].rpartition('@')[2]}{match['path'] or ''}"[:200]


class UrlFilter:
    """Judges URLs and the addresses behind them; safe to use from several threads."""

    def __init__(self, settings: UrlFilterSettings, resolve: Resolve | None = None) -> None:
        self._settings = settings
        self._resolve = resolve or _addresses
        self._names, self._networks = _names_and_networks(settings.disallowed_hosts)
        self._allowed_networks = tuple(ipaddress.ip_network(network) for network in settings.allowed_networks)

    def target(self, url: str) -> Target:
        """Read ``url`` and judge what it says itself; nothing is resolved.

        Raises:
            UrlRefused: It is not to be fetched.
        """
        target = _read(url)
        settings = self._settings
        if target.scheme not in settings.allowed_schemes or target.scheme in settings.disallowed_schemes:
            raise UrlRefused(url, f"the scheme {target.scheme!r} is not allowed")
        if settings.allowed_hosts and target.host not in settings.allowed_hosts:
            raise UrlRefused(url, "the host is not among those that are allowed")
        if target.host in self._names:
            raise UrlRefused(url, "the host is not allowed")
        if settings.allowed_ports and target.port not in settings.allowed_ports:
            raise UrlRefused(url, f"the port {target.port} is not allowed")
        if target.port in settings.disallowed_ports:
            raise UrlRefused(url, f"the port {target.port} is not allowed")
        return target

    def addresses(self, target: Target) -> list[str]:
        """Return the addresses of the target that may be asked, in the order of the resolver.

        Raises:
            NotResolved: The name has no address.
            UrlRefused: It has none that may be asked.
        """
        found = [target.host] if _is_address(target.host) else self._resolve(target.host, target.port)
        if not found:
            raise NotResolved(str(target), "its host has no address")
        good = [text for text in dict.fromkeys(found) if self._may_ask(target.host, ipaddress.ip_address(text))]
        if not good:
            raise UrlRefused(str(target), "its host has no address that may be asked")
        return good

    def is_guarded(self, target: Target, address: str) -> bool:
        """Return whether callers are to learn nothing of what there is at ``address``.

        So it is where the address is not public and the operator allowed a network, not this host by its name:
        otherwise whoever may name URLs could find out which machines there are.
        """
        return target.host not in self._settings.allowed_hosts and not all(
            _is_public(each) for each in _meant(ipaddress.ip_address(address))
        )

    def _may_ask(self, host: str, address: IpAddress) -> bool:
        meant = list(_meant(address))
        if any(each in network for each in meant for network in self._networks):
            return False
        if host in self._settings.allowed_hosts:
            return True
        return all(not _is_special(each) and self._is_open(each) for each in meant)

    def _is_open(self, address: IpAddress) -> bool:
        return (
            _is_public(address)
            or self._settings.private_networks
            or any(address in network for network in self._allowed_networks)
        )


def _read(url: str) -> Target:
    if len(url) > MAX_URL:
        raise UrlRefused(url, f"it is longer than {MAX_URL} characters")
    if not _CHARACTERS.fullmatch(url):
        raise UrlRefused(url, "it holds characters that a URL does not hold; write them as %XX")
    match = _URL.fullmatch(url)
    if match is None:
        raise UrlRefused(url, "it is not of the form http://host/path")
    if "@" in match["authority"]:
        raise UrlRefused(url, "it holds a user name or a password; these are not passed on")
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORT:
        raise UrlRefused(url, f"the scheme {scheme!r} is not allowed")
    where = _AUTHORITY.fullmatch(match["authority"])
    if where is None or int(where["port"] or 0) > 65535:
        raise UrlRefused(url, "its host and port are not written as HOST or HOST:PORT")
    host = _v6(url, where["v6"]) if where["v6"] else _name_or_v4(url, where["name"])
    port = int(where["port"]) if where["port"] else _DEFAULT_PORT[scheme]
    return Target(scheme, host, port, (match["path"] or "/") + (match["query"] or ""))


def _v6(url: str, text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.ipv4_mapped is not None or text.lower() != address.compressed:
        raise UrlRefused(url, "its host is not an IPv6 address in its shortest form")
    return address.compressed


def _name_or_v4(url: str, text: str) -> str:
    host = text.lower()
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))  # takes four decimal numbers without leading zeros, nothing else
        except ValueError:
            raise UrlRefused(url, "its host is not an IPv4 address of four decimal numbers") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise UrlRefused(url, "its host is not a name of letters, digits, '-' and '.'")
    return host


def _meant(address: IpAddress) -> Iterator[IpAddress]:
    """Yield ``address`` and each IPv4 address inside it to which a packet might go."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        before, last = int(address) >> 32 & 0xFFFFFFFF, int(address) & 0xFFFFFFFF
        # Of an ISATAP identifier the two bits for "universal" and "group" say nothing here.
        if before & ~0x03000000 == _ISATAP or any(address in network for network in _IPV4_AT_END):
            yield ipaddress.IPv4Address(last)
        yield from (inner for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if inner)


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if not any(address in network for network in _PUBLIC_V6):
            return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _is_special(address: IpAddress) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _METADATA
        or any(address in network for network in _NEVER)
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _names_and_networks(
    hosts: tuple[str, ...],
) -> tuple[frozenset[str], tuple[IpNetwork, ...]]:
    names, networks = set(), []
    for host in hosts:
        try:
            networks.append(ipaddress.ip_network(host))
        except ValueError:
            names.add(host)
    return frozenset(names), tuple(networks)


def _addresses(host: str, port: int) -> list[str]:
    # With the dot first: the name as it is, before the resolver tries it below the machine's own domains.
    for name in (f"{host}.", host):
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            continue
        return [str(place[0]).partition("%")[0] for _, _, _, _, place in found]
    return []
