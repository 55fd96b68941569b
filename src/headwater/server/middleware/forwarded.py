"""Behind proxies: what the client asked for, and from where, as the proxies that are trusted tell it.

A proxy says it in ``Forwarded`` (RFC 7239) or in ``X-Forwarded-For``, ``-Proto``, ``-Host``, ``-Port`` and ``-Prefix``.
Each adds its word at the right, of the one that it was asked by. So a chain is read from the right, and further to
the left only as long as who it names is trusted as well: what stands left of the first stranger is the stranger's word.

Whoever is not trusted is not listened to. A trusted proxy's word that makes no sense, or says one thing in
``Forwarded`` and another beside it, refuses the request: proxies pass on headers that they do not write themselves, so
a client may have written one of the two, and must gain nothing by it.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import Invalid
from headwater.http.context import context

Trusts = Callable[[str], bool]
Lines = Sequence[tuple[bytes, bytes]]

UNKNOWN = "unknown"  # a proxy that does not tell by whom it was asked
_NAMES = (b"forwarded", b"x-forwarded-")
_KEPT, _KEPT_LENGTH = 4096, 200  # what proxies have said, and how long it may be
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, 5.6.2
# RFC 7239, section 4. Without quotes a value is a token; addresses and ports are nevertheless seen without.
_PAIR = re.compile(rf'[ \t]*(?:({_TOKEN})=(?:"((?:[^"\\]|\\.)*)"|([!#$%&\'*+.^_`|~0-9A-Za-z:\[\]-]+)))?[ \t]*([;,]|\Z)')
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
_HIDDEN = re.compile(r"unknown(?::.*)?|_[A-Za-z0-9._-]+(?::.*)?", re.IGNORECASE)
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PORT = re.compile(r"[0-9]{1,5}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&()*+;=:@%-]+)*/?")


class BadForwarding(Invalid):
    """A trusted proxy has passed on what cannot be followed."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The header {name} of this request {reason}; the proxy that sent it has to write it anew")
        self.name, self.reason = name, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What proxies tell of a request; ``None``: nothing."""

    client: str | None = None  # an address, or UNKNOWN
    scheme: str | None = None
    host: str | None = None
    port: str | None = None
    prefix: str | None = None


_NOTHING = Told()


class Forwarded:
    """An application that sees the request as its client sent it to the first trusted proxy."""

    def __init__(self, app: ASGIApp, trusts: Trusts) -> None:
        self._app = app
        self._trusts = trusts

        @functools.lru_cache(_KEPT)  # a client asks again, and its proxy says the same of it
        def kept(lines: Lines) -> Told:
            return told(lines, trusts)

        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None and self._trusts(client[0]):
            # In place: the log of requests reads it there.
            said = self._told(scope["headers"])
            context(scope).proxied = said.client is not None
            _follow(scope, said)
        await self._app(scope, receive, send)

    def _told(self, headers: Lines) -> Told:
        lines = tuple(each for each in headers if each[0].startswith(_NAMES))
        if not lines:
            return _NOTHING
        if sum(len(value) for _, value in lines) > _KEPT_LENGTH:
            return told(lines, self._trusts)
        return self._kept(lines)


def behind(app: ASGIApp, proxies: Sequence[str]) -> ASGIApp:
    """Return ``app`` behind the proxies at these addresses and in these networks; without any, ``app`` itself."""
    return Forwarded(app, trusting(proxies)) if proxies else app


def trusting(proxies: Sequence[str]) -> Trusts:
    """Return what knows whether an address is one of ``proxies``, or in one of the networks that they name.

    Raises:
        ValueError: One of them is neither an address nor a network.
    """
    networks = [ipaddress.ip_network(each) for each in proxies]

    @functools.lru_cache(4096)  # a few proxies send most requests
    def trusts(address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        plain = getattr(found, "ipv4_mapped", None) or found  # as a listener on [::] sees clients with IPv4
        return any(plain in network for network in networks)

    return trusts


def told(headers: Lines, trusts: Trusts) -> Told:
    """Return what the trusted proxies tell, of which one has sent these headers.

    Raises:
        BadForwarding: They cannot be followed.
    """
    lines: dict[str, list[str]] = {}
    for raw, value in headers:
        if raw == b"forwarded" or raw.startswith(b"x-forwarded-"):
            lines.setdefault(raw.decode("latin-1"), []).append(value.decode("latin-1"))
    if not lines:
        return Told()
    standard = _standard(lines.get("forwarded", []), trusts)
    usual = _usual(lines, trusts)
    for name in ("client", "scheme", "host"):
        one, other = getattr(standard, name), getattr(usual, name)
        if one is not None and other is not None and one.lower() != other.lower():
            raise BadForwarding("Forwarded", f"names another {name} than the X-Forwarded headers beside it")
    return replace(
        usual,
        client=standard.client or usual.client,
        scheme=standard.scheme or usual.scheme,
        host=standard.host or usual.host,
    )


def _follow(scope: Scope, said: Told) -> None:
    if said.client is not None:
        scope["client"] = None if said.client == UNKNOWN else (said.client, 0)
    if said.scheme is not None:
        scope["scheme"] = said.scheme
    if said.host is not None or said.port is not None:
        asked = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        host = said.host or asked
        match = _HOST.fullmatch(host)
        if match is not None and match[1] is None and said.port not in (None, _DEFAULT_PORTS.get(scope["scheme"])):
            host = f"{host}:{said.port}"
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", host.encode("latin-1")), *others]
    if said.prefix is not None:
        scope["app_root_path"] = said.prefix  # Starlette's: of links, and not of routes


# --- Forwarded -----------------------------------------------------------------------------------


def _standard(lines: Sequence[str], trusts: Trusts) -> Told:
    visited: list[dict[str, str]] = []
    client = None
    for element in _elements(lines):
        visited.append(element)
        if "for" not in element:
            break
        client = _node("Forwarded", element["for"])
        if not trusts(client):
            break
    # The outermost that tells: it is the one that the client has asked.
    outermost: dict[str, str] = {}
    for element in visited:
        outermost |= element
    scheme, host = outermost.get("proto"), outermost.get("host")
    return Told(
        client=client,
        scheme=_scheme("Forwarded", scheme) if scheme is not None else None,
        host=_host("Forwarded", host) if host is not None else None,
    )


def _elements(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield what each proxy has said, the nearest first; a line is looked at when it is its turn."""
    for line in reversed(lines):
        yield from reversed(_line_elements(line))


def _line_elements(line: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = [{}]
    at = 0
    while True:
        match = _PAIR.match(line, at)
        if match is None:
            raise BadForwarding("Forwarded", "is not written as RFC 7239 says")
        name, quoted, plain, separator = match.groups()
        if name is not None:
            if name.lower() in elements[-1]:
                raise BadForwarding("Forwarded", f"says {name[:20].lower()!r} twice of one proxy")
            elements[-1][name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if not separator:
            return [each for each in elements if each]
        if separator == ",":
            elements.append({})
        at = match.end()


# --- X-Forwarded-* -------------------------------------------------------------------------------


def _usual(lines: dict[str, list[str]], trusts: Trusts) -> Told:
    def values(name: str) -> list[str]:
        found = [each.strip(" \t") for each in ",".join(lines.get(name, [])).split(",")]
        return [each for each in found if each]

    client, hops = None, 0
    for value in reversed(values("x-forwarded-for")):
        client = _node("X-Forwarded-For", value)
        hops += 1
        if not trusts(client):
            break

    def of_outermost(name: str) -> str | None:
        """Return the word of the proxy that the client has asked; some proxies add theirs, others replace it."""
        found = values(name)
        return found[-min(max(hops, 1), len(found))] if found else None

    scheme, host = of_outermost("x-forwarded-proto"), of_outermost("x-forwarded-host")
    port, prefix = of_outermost("x-forwarded-port"), of_outermost("x-forwarded-prefix")
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise BadForwarding("X-Forwarded-Port", "is no port")
    if prefix is not None and (not _PREFIX.fullmatch(prefix) or ".." in prefix.split("/")):
        raise BadForwarding("X-Forwarded-Prefix", "is not the beginning of a path")
    return Told(
        client=client,
        scheme=_scheme("X-Forwarded-Proto", scheme) if scheme is not None else None,
        host=_host("X-Forwarded-Host", host) if host is not None else None,
        port=port,
        prefix=prefix.rstrip("/") if prefix is not None else None,
    )


# --- Their words ---------------------------------------------------------------------------------


def _node(name: str, text: str) -> str:
    """Return the address in ``text``, or ``UNKNOWN``."""
    if _HIDDEN.fullmatch(text):
        return UNKNOWN
    match = _NODE.fullmatch(text)
    try:
        found = ipaddress.ip_address(match[1] or match[2] if match is not None else text)
    except ValueError:
        raise BadForwarding(name, "names a client that is no address") from None
    return str(getattr(found, "ipv4_mapped", None) or found)


def _scheme(name: str, text: str) -> str:
    scheme = text.lower()
    if scheme not in _DEFAULT_PORTS:
        raise BadForwarding(name, "names a scheme that is neither http nor https")
    return scheme


def _host(name: str, text: str) -> str:
    match = _HOST.fullmatch(text)
    if match is None or (match[1] is not None and int(match[1][1:]) > 65535):
        raise BadForwarding(name, "names a host that is none")
    return text
