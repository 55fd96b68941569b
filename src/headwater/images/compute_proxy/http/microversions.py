"""Which microversion of the Compute API a request asks for, and what is gone in it.

Nova gave its images up in 2.36 and their metadata in 2.39: who asks for more is answered 404, as Nova answers.
What is announced ends at 2.35, so that clients that take the newest they are told of find all that there is.
"""

from __future__ import annotations

import re

from starlette.requests import Request

from headwater.errors import Invalid, NotFound
from headwater.http.context import context
from headwater.images.compute_proxy.http.faults import NotAcceptable

Version = tuple[int, int]

LOWEST: Version = (2, 1)
NEWEST: Version = (2, 35)  # the last that has everything
IMAGES_END: Version = (2, 36)  # the first that has none
METADATA_ENDS: Version = (2, 39)

OLD_HEADER, HEADER = "X-OpenStack-Nova-API-Version", "OpenStack-API-Version"
_SERVICE = "compute"
_FORM = re.compile(r"([1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})")


class BadMicroversion(Invalid):
    """A header that names no version."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"API Version String {given[:40]!r} is of invalid format. Must be of format MajorNum.MinorNum."
        )


class VersionNotSupported(NotAcceptable):
    """A version that the Compute API never had or that is older than all."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"Version {given[:40]} is not supported by the API. "
            f"Minimum is {text(LOWEST)} and maximum is {text(NEWEST)}."
        )


class NoLongerThere(NotFound):
    """The Compute API has no such thing in this version any more."""

    def __init__(self, what: str, wanted: Version, end: Version) -> None:
        super().__init__(
            f"The Compute API {text(wanted)} has no {what}, which ended before {text(end)}: ask the Image API, or ask "
            "for an older version"
        )


def text(version: Version) -> str:
    """Return a version as headers have it."""
    return f"{version[0]}.{version[1]}"


def asked(request: Request) -> Version:
    """Return what a request asks for; without a word on it that is the lowest.

    Raises:
        BadMicroversion, VersionNotSupported: There is no such version.
    """
    given = _given(request)
    if given is None:
        return LOWEST
    if given == "latest":
        return NEWEST
    found = _FORM.fullmatch(given)
    if found is None:
        raise BadMicroversion(given)
    version = (int(found[1]), int(found[2]))
    if version < LOWEST or version[0] != LOWEST[0]:
        raise VersionNotSupported(given)
    return version


def require(request: Request, what: str, end: Version) -> None:
    """Note the version in the answer's headers, and raise ``NoLongerThere`` from the version ``end`` on."""
    version = asked(request)
    context(request.scope).told.update(
        {HEADER: f"{_SERVICE} {text(version)}", OLD_HEADER: text(version), "Vary": f"{HEADER}, {OLD_HEADER}"}
    )
    if version >= end:
        raise NoLongerThere(what, version, end)


def _given(request: Request) -> str | None:
    for entry in request.headers.get(HEADER, "").split(","):
        service, _, version = entry.strip().partition(" ")
        if service.lower() == _SERVICE:
            return version.strip()
    return request.headers.get(OLD_HEADER)
