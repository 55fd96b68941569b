"""Which metadata definitions images are held against: those of a service, or those that come with Headwater."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import resources
from urllib.parse import quote, urlencode

import msgspec

from headwater.cli import output
from headwater.client.linting import definitions
from headwater.client.linting.lint import Document, Profile, lint
from headwater.client.service import ImageService, RequestRefused


def shipped() -> Profile:
    """Return the profile of the definitions that come with Headwater."""
    return definitions.profile(_shipped())


def of_service(service: ImageService) -> Profile:
    """Return the profile of the definitions that a service has, beside those that are shipped.

    What Nova reads it reads whatever a service knows of it: Glance's own definitions lack a third of that.
    """
    try:
        found = list(_namespaces(service))
    except RequestRefused:
        found = []
    return definitions.profile(found, beside=_shipped())


def _shipped() -> Iterator[Document]:
    files = sorted(resources.files("headwater.images.metadefs").joinpath("base").iterdir(), key=lambda each: each.name)
    return (msgspec.json.decode(each.read_bytes()) for each in files if each.name.endswith(".json"))


def _namespaces(service: ImageService) -> Iterator[Document]:
    path: str | None = f"/v2/metadefs/namespaces?{urlencode({'resource_types': definitions.RESOURCE})}"
    while path is not None:
        page = service.ask("GET", path)
        for each in page["namespaces"]:
            yield service.ask("GET", f"/v2/metadefs/namespaces/{quote(each['namespace'], safe='')}")
        path = page.get("next")


def warn(properties: Mapping[str, str]) -> None:
    """Say on standard error which of these properties nobody knows, or have values that they cannot have."""
    if not properties:
        return
    image = {**properties, "id": "", "name": None}
    for found in lint([image], shipped(), datetime.now(UTC).date()):
        output.say_error(f"warning: {found.property} {found.problem}; allowed: {found.allowed}")
