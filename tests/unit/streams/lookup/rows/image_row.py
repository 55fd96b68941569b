"""What a row of the tables of images says, and the small sites that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unit.streams.lookup.feeds import (
    IMAGES,
    INDEX2,
    KEYSTONE,
    SIGNED2,
    entry,
    images,
    index,
    item,
    product,
    version,
)
from unit.streams.lookup.sites import Answer


@dataclass(frozen=True, kw_only=True)
class Row:
    """A site, what is asked of it, and what must come of that.

    What is named ``.sjson`` and is a document is signed by the key of the source.
    """

    name: str
    source: str  # section
    files: Mapping[str, Answer]
    region: str = "RegionOne"
    endpoint: str = KEYSTONE
    releases: tuple[str, ...] = ("22.04",)
    arches: tuple[str, ...] = ("amd64",)
    stream: str = ""
    requires_signed: bool = False
    key: bool = True  # whether the source has one
    ids: tuple[str, ...] = ("an-id",)  # found, in this order
    signed: bool = False
    index: str | None = None  # the one that was used
    requests: tuple[str, ...] | None = None
    fails: str = ""  # a part of the error
    absent: bool = False  # the error counts as "there is no such data"
    told: str = ""  # a part of a step
    facts: Mapping[str, str] = field(default_factory=dict)  # of the only image


GOOD: dict[str, Any] = {INDEX2: index(), IMAGES: images()}
SIGNED_SITE: dict[str, Any] = {
    SIGNED2: index(entry(path="streams/v1/images.sjson")),
    "streams/v1/images.sjson": images(product(versions={"1": version(item("signed-id"))})),
}


def of(products: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a site with these products."""
    return {INDEX2: index(entry(*products)), IMAGES: images(dict(products), **more)}


def newest(**versions: Any) -> dict[str, Any]:
    """Return a site with these versions, whose names begin with ``v``."""
    return of(product(versions={name[1:].replace("_", "."): each for name, each in versions.items()}))


def one(**more: Any) -> dict[str, Any]:
    """Return a site whose only item has these facts."""
    return newest(v1=version(item(**more)))


def of_version(facts: dict[str, Any]) -> dict[str, Any]:
    return newest(v1=version({"id": "an-id"}, **facts))


def of_product(facts: dict[str, Any]) -> dict[str, Any]:
    return of(product(versions={"1": version({"id": "an-id"})}, **facts))


def of_top(facts: dict[str, Any]) -> dict[str, Any]:
    return of(product(versions={"1": version({"id": "an-id"})}), **facts)
