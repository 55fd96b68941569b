"""The address of a feed in Keystone's catalogue, where Juju looks for it.

Source: Juju asks for the service types ``product-streams`` (images) and ``juju-tools`` (agents), and for public
endpoints alone; a slash at the end of a URL breaks some gateways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keystoneauth1 import exceptions
from keystoneauth1.plugin import AUTH_INTERFACE
from keystoneauth1.session import Session

from headwater.errors import Conflict, HeadwaterError, NotFound, SettingsError
from headwater.fetching.url_filter import redacted
from headwater.streams.publishing.done import Done

IMAGES: Final = "product-streams"
AGENTS: Final = "juju-tools"
NAMES: Final = {IMAGES: "image-stream", AGENTS: "juju-tools"}  # as the charms call them
INTERFACES: Final = ("public", "internal", "admin")
# Where tokens come from; an administrator reaches it, whatever the catalogue says.
_KEYSTONE: Final = {"interface": AUTH_INTERFACE}

_FEED_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


@dataclass(frozen=True, slots=True)
class Registered:
    """A service or an endpoint, and what was done with it."""

    what: str  # such as "service product-streams" or "public endpoint in RegionOne"
    done: Done
    url: str | None = None
    before: str | None = None  # the URL that was there


class SeveralServices(Conflict):
    """Juju takes the last service of a type, so which one counts is chance."""

    def __init__(self, kind: str, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"Keystone has {len(self.ids)} services of the type {kind}: {', '.join(self.ids)}; remove all but one"
        )


class NoFeedUrl(SettingsError):
    """Juju would not ask what is not http(s)."""

    def __init__(self, url: str) -> None:
        shown = redacted(url)
        super().__init__(f"{shown}: readers find a feed at http://HOST/… or https://HOST/…, with no name or password")
        self.url = shown


class NoSuchRegion(NotFound):
    """Keystone knows no region of this name, which is compared letter by letter."""

    def __init__(self, region: str, known: Iterable[str]) -> None:
        self.region, self.known = region, tuple(sorted(known))
        super().__init__(
            f"Keystone has no region {region}; name one of {', '.join(self.known) or 'those that it will have'}, or "
            f"make it: openstack region create {region}"
        )


class KeystoneRefused(HeadwaterError):
    """Keystone does not do what is asked of it, or does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Keystone: {reason}")
        self.reason = reason


def register(
    session: Session,
    kind: str,
    url: str,
    regions: Iterable[str],
    interfaces: Iterable[str] = INTERFACES,
    *,
    dry_run: bool = False,
) -> list[Registered]:
    """Make Keystone's catalogue say that the feed of this kind is at ``url``, and return what was done.

    Args:
        session: Of somebody who may change the catalogue.
        kind: ``IMAGES`` or ``AGENTS``.
        dry_run: Only say what would be done.

    Raises:
        NoFeedUrl, NoSuchRegion, SeveralServices, KeystoneRefused: As they say.
    """
    url = url.rstrip("/")
    if not _FEED_URL.fullmatch(url):
        raise NoFeedUrl(url)
    try:
        return list(_registered(session, kind, url, [(r, i) for r in regions for i in interfaces], dry_run=dry_run))
    except exceptions.ClientException as error:
        raise KeystoneRefused(" ".join(str(error).split())[:300]) from error


def _registered(
    session: Session, kind: str, url: str, wanted: list[tuple[str, str]], *, dry_run: bool
) -> Iterator[Registered]:
    known = {each["id"] for each in _asked(session, "/regions")["regions"]}
    for region, _ in wanted:
        if region not in known:
            raise NoSuchRegion(region, known)
    services = _asked(session, f"/services?type={kind}")["services"]
    if len(services) > 1:
        raise SeveralServices(kind, (each["id"] for each in services))
    yield Registered(f"service {kind}", Done.SAME if services else Done.ADDED)
    if services:
        service_id = services[0]["id"]
        endpoints = _asked(session, f"/endpoints?service_id={service_id}")["endpoints"]
    else:
        endpoints, service_id = [], ""
        if not dry_run:
            about = {"type": kind, "name": NAMES.get(kind, kind), "description": "simplestreams feed"}
            service_id = _asked(session, "/services", "POST", {"service": about})["service"]["id"]
    for region, interface in wanted:
        there = [each for each in endpoints if (each["region_id"], each["interface"]) == (region, interface)]
        yield from _endpoint(session, service_id, (region, interface, url), there, dry_run=dry_run)


def _endpoint(
    session: Session, service_id: str, wanted: tuple[str, str, str], there: list[dict[str, Any]], *, dry_run: bool
) -> Iterator[Registered]:
    region, interface, url = wanted
    what = f"{interface} endpoint in {region}"
    if not there:
        if not dry_run:
            about = {"service_id": service_id, "interface": interface, "region_id": region, "url": url}
            _asked(session, "/endpoints", "POST", {"endpoint": about})
        yield Registered(what, Done.ADDED, url)
        return
    kept = next((each for each in there if each["url"] == url), there[0])
    is_right = kept["url"] == url and kept.get("enabled", True)
    if not is_right and not dry_run:
        _asked(session, f"/endpoints/{kept['id']}", "PATCH", {"endpoint": {"url": url, "enabled": True}})
    yield Registered(what, Done.SAME if is_right else Done.CHANGED, url, None if is_right else kept["url"])
    for each in there:
        if each is not kept:
            if not dry_run:
                _asked(session, f"/endpoints/{each['id']}", "DELETE")
            yield Registered(what, Done.REMOVED, None, each["url"])


def _asked(session: Session, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = session.request(path, method, endpoint_filter=dict(_KEYSTONE), json=body)
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


def catalogue(session: Session) -> list[dict[str, Any]]:
    """Return the services that Keystone names to who asks, in its order, each with its endpoints.

    Raises:
        KeystoneRefused: It gives no token.
    """
    try:
        access = session.auth.get_access(session)  # type: ignore[union-attr]  # sessions of ours have one of v3
    except exceptions.ClientException as error:
        raise KeystoneRefused(str(error)) from error
    services: list[dict[str, Any]] = access.service_catalog.catalog
    return services
