"""Juju's search for images, written a second time from its rules, to prove the feed against.

It is an oracle: it shares no code with the feed, reads plain JSON, and is as strict as Juju is. The rules are those
of Juju 2.9 to 4.1 for one source of images (no agents): names are asked for signed first, then unsigned; only 404 and
401 mean "absent"; any error of the signed attempt leads to the unsigned one unless signatures are required.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Fetch = Callable[[str], tuple[int, bytes]]
Verify = Callable[[bytes], bytes]

_INDEX_ENTRY_TEXTS = ("updated", "format", "datatype", "cloudname", "path")
_TOP_TEXTS = ("updated", "format", "content_id", "region", "endpoint", "root_store", "virt")
_PRODUCT_TEXTS = ("release", "version", "arch", "region", "endpoint", "root_store", "virt")
_VERSION_TEXTS = ("arch", "release", "version", "region", "endpoint")
_ITEM_TEXTS = ("id", "root_store", "virt", "arch", "version", "crsn", "region", "endpoint")
_INHERITED = ("arch", "version", "region", "endpoint", "root_store", "virt")


class SourceError(Exception):
    """This attempt at the source failed."""


class Absent(SourceError):
    """The source has no such data: 404, 401, no image data, or none for the cloud."""


class _NoMatchingProducts(Exception):
    """The source is in order and has nothing that was asked for; it ends as an empty success."""


@dataclass
class Source:
    """One place to look at. Without ``verify`` there is no key, so that signed data is never good."""

    fetch: Fetch
    verify: Verify | None = None
    requires_signed: bool = False
    requests: list[str] = field(default_factory=list)

    def get(self, path: str) -> bytes:
        self.requests.append(path)
        status, body = self.fetch(path)
        if status in (401, 404):
            raise Absent(f"{path!r} not found")
        if status != 200:
            raise SourceError(f"cannot access URL {path!r}, {status}")
        return body

    def get_json(self, path: str, *, signed: bool) -> Any:
        body = self.get(path)
        if signed:
            if self.verify is None:
                raise SourceError("failed to parse public key")
            try:
                body = self.verify(body)
            except Exception as error:
                raise SourceError(f"cannot read data for source at URL {path}: {error}") from error
        try:
            return json.loads(body)
        except ValueError as error:
            raise SourceError(f"cannot unmarshal JSON at URL {path!r}") from error


@dataclass(frozen=True)
class Wanted:
    """What a bootstrap or a new machine asks for."""

    region: str
    endpoint: str
    releases: Sequence[str]
    arches: Sequence[str]
    stream: str = ""

    def product_ids(self) -> list[str]:
        stream = "" if self.stream in ("", "released") else f".{self.stream}"
        return [f"com.ubuntu.cloud{stream}:server:{r}:{a}" for r in self.releases for a in self.arches]


@dataclass(frozen=True)
class Found:
    images: list[dict[str, str]]
    signed: bool

    @property
    def ids(self) -> list[str]:
        return [image["id"] for image in self.images]

    def duplicates(self) -> list[tuple[str, ...]]:
        """Return the identities that stand more than once; Juju 2.9 to 3.6 then refuse all of them."""
        identities = [
            tuple(image.get(key, "") for key in ("region", "version", "arch", "virt", "root_store"))
            for image in self.images
        ]
        return sorted({one for one in identities if identities.count(one) > 1})

    def choose(self, arch: str, virt: str | None = None) -> str | None:
        """Return the id of the image for a machine: an exact match of the guest type first, then one without type."""
        fitting = [image for image in self.images if image.get("arch") == arch]
        exact = [image for image in fitting if not virt or image.get("virt") == virt]
        untyped = [image for image in fitting if not image.get("virt")]
        return next((image["id"] for image in [*exact, *untyped]), None)


def find(source: Source, wanted: Wanted) -> Found:
    """Return the images of one source, ids ascending."""
    try:
        try:
            return Found(_attempt(source, wanted, signed=True), signed=True)
        except (SourceError, _NoMatchingProducts):
            if source.requires_signed:
                raise
        return Found(_attempt(source, wanted, signed=False), signed=False)
    except _NoMatchingProducts:
        return Found([], signed=False)


def _attempt(source: Source, wanted: Wanted, *, signed: bool) -> list[dict[str, str]]:
    suffix = ".sjson" if signed else ".json"
    try:
        index = source.get_json(f"streams/v1/index2{suffix}", signed=signed)
    except Absent:
        index = source.get_json(f"streams/v1/index{suffix}", signed=signed)
    if index.get("format") != "index:1.0":
        raise SourceError(f"unexpected index file format {index.get('format')!r}")
    _load_mirrors(source, suffix, signed=signed)
    entry = _entry(index, wanted)
    document = source.get_json(entry["path"], signed=signed)
    if document.get("format") != "products:1.0":
        raise SourceError(f"unexpected products file format {document.get('format')!r}")
    return _images(document, wanted)


def _load_mirrors(source: Source, suffix: str, *, signed: bool) -> None:
    try:
        mirrors = source.get_json(f"streams/v1/mirrors{suffix}", signed=signed)
    except Absent:
        return
    if not isinstance(mirrors.get("mirrors"), dict):
        raise SourceError("cannot load mirror metadata")


def _entry(index: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    entries = list(index["index"].values())
    for entry in entries:
        _texts(entry, _INDEX_ENTRY_TEXTS)
    entries = [entry for entry in entries if entry.get("datatype") == "image-ids"]
    if not entries:
        raise Absent('"image-ids" data not found')
    entries = [entry for entry in entries if not entry.get("clouds") or _has_cloud(entry["clouds"], wanted)]
    if not entries:
        raise Absent(f"index file has no data for cloud {{{wanted.region} {wanted.endpoint}}} not found")
    products = set(wanted.product_ids())
    entries = [entry for entry in entries if products & set(entry.get("products") or ())]
    if not entries:
        raise _NoMatchingProducts
    return dict(entries[0])


def _has_cloud(clouds: list[dict[str, str]], wanted: Wanted) -> bool:
    def plain(region: str) -> str:
        return region.lower().replace(" ", "")

    def slashed(endpoint: str) -> str:
        return endpoint if endpoint.endswith("/") else f"{endpoint}/"

    return any(
        plain(cloud["region"]) == plain(wanted.region) and slashed(cloud["endpoint"]) == slashed(wanted.endpoint)
        for cloud in clouds
    )


def _images(document: dict[str, Any], wanted: Wanted) -> list[dict[str, str]]:
    _texts(document, _TOP_TEXTS)
    for product in document["products"].values():  # one bad item anywhere spoils the file
        _texts(product, _PRODUCT_TEXTS)
        for version in product["versions"].values():
            _texts(version, _VERSION_TEXTS)
            for item in version["items"].values():
                _texts(item, _ITEM_TEXTS)
    found: list[dict[str, str]] = []
    known = False
    for product_id in wanted.product_ids():
        product = document["products"].get(product_id)
        if product is None:
            continue
        known = True
        seen: set[tuple[str, ...]] = set()
        for name in sorted(product["versions"], key=str.encode, reverse=True):
            version = product["versions"][name]
            items = [_inherited(item, version, product, document) for item in version["items"].values()]
            of_version = [item for item in items if item.get("region") == wanted.region and _identity(item) not in seen]
            found += of_version
            seen.update(_identity(item) for item in of_version)
    if not known or not found:
        raise _NoMatchingProducts
    return sorted(found, key=lambda item: item["id"])


def _identity(item: dict[str, str]) -> tuple[str, ...]:
    return tuple(item.get(key, "") for key in ("virt", "arch", "version", "region", "root_store"))


def _inherited(item: dict[str, Any], *above: dict[str, Any]) -> dict[str, str]:
    version, product, top = above
    whole = {key: value for key, value in item.items() if value}
    for level, keys in ((version, _VERSION_TEXTS), (product, _PRODUCT_TEXTS), (top, _TOP_TEXTS)):
        for key in _INHERITED:
            if key in keys and not whole.get(key) and level.get(key):
                whole[key] = level[key]
    return whole


def _texts(data: dict[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if not isinstance(data.get(key, ""), str | None):
            raise SourceError(f"cannot unmarshal JSON metadata: {key} is no string")
