"""Ids of images in clouds, in a feed that every Juju from 1.21 on reads, and the simplestreams tools too.

What Juju wants is kept by construction: arch and version on the product, region and endpoint on the item, no two
items of one version that it cannot tell apart, keys of items that do not collide across regions, and in the index every
spelling of the endpoint that users have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.streams.format.arches import JUJU_ARCHES
from headwater.streams.format.documents import Cloud, Item, Products
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.juju_bases import ubuntu_version
from headwater.streams.writing.merging import Place, with_item, without

DATATYPE: Final = "image-ids"
CONTENT_ID: Final = "com.ubuntu.cloud:custom"  # Source: what Juju's generate-image writes
PRODUCTS_PATH: Final = "streams/v1/com.ubuntu.cloud-released-imagemetadata.json"  # Source: the same
RELEASED: Final = "released"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class BadImageId(Invalid):
    """What was given describes no image that a reader could find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageId:
    """One image of one region.

    ``endpoints``: the Identity URL in every spelling of the users of the cloud; the first stands on the item.
    """

    id: str
    region: str
    endpoints: tuple[str, ...]
    version: str  # of the operating system, such as 24.04
    arch: str = "amd64"
    stream: str = RELEASED
    virt: str | None = None
    root_store: str | None = None
    release: str | None = None  # the code name, such as noble
    aliases: str | None = None  # separated by commas
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise BadImageId("image id must be specified")
        if not self.region:
            raise BadImageId("image region must be specified")
        if not self.endpoints or not all(self.endpoints):
            raise BadImageId("cloud endpoint URL must be specified")
        for name in ("version", "arch", "stream"):
            value: str = getattr(self, name)
            if not _WORD.fullmatch(value):
                raise BadImageId(f"{name}: {value!r} is no word such as 24.04, amd64 or released")
        number = ubuntu_version(self.version)
        if number is not None:
            raise BadImageId(f"version: Juju asks for a version by its number: {number}, not {self.version}")

    @property
    def product(self) -> str:
        """The name under which Juju looks for it."""
        stream = "" if self.stream == RELEASED else f".{self.stream}"
        return f"com.ubuntu.cloud{stream}:server:{self.version}:{arch_of(self.arch)}"


def arch_of(name: str) -> str:
    """Return the name of an architecture that feeds use, as Debian and Juju do, of this or of the kernel's name."""
    return JUJU_ARCHES.get(name, name)


def add(
    feed: Feed,
    image: ImageId,
    *,
    content_id: str = CONTENT_ID,
    version: str | None = None,
    cloudname: str = "custom",
    clock: Clock = now,
) -> Place:
    """Put an image into a feed, and return where.

    Args:
        version: The name of the version, which sorts as text. Default: today's date, in UTC.
    """
    path = PRODUCTS_PATH if content_id == CONTENT_ID else None
    products = feed.products(content_id, path=path) or Products(products={}, content_id=content_id, datatype=DATATYPE)
    at = _version_name(version, clock)
    products = without(products, lambda place, item, of=products: _is_same(image, at, of, place, item))  # type: ignore[misc]
    place = Place(image.product, at, _key(products, image, at))
    item = Item(
        id=image.id, root_store=image.root_store, virt=image.virt, region=image.region, endpoint=image.endpoints[0]
    )
    facts = {"version": image.version, "arch": arch_of(image.arch)}
    told = {"release": image.release, "aliases": image.aliases}
    products = with_item(
        products,
        place,
        item,
        product=facts | {name: value for name, value in told.items() if value is not None},
        version={} if image.label is None else {"label": image.label},
    )
    entry = feed.index.index.get(content_id)
    clouds = (entry.clouds if entry else None) or ()
    clouds = _clouds(products, (*clouds, *(Cloud(region=image.region, endpoint=each) for each in image.endpoints)))
    cloudname = (entry.cloudname if entry else None) or cloudname
    feed.put(content_id, products, path=path, cloudname=cloudname, clouds=clouds)
    return place


def same_as(
    feed: Feed, image: ImageId, *, content_id: str = CONTENT_ID, version: str | None = None, clock: Clock = now
) -> list[str]:
    """Return the ids of other images in whose place ``add`` puts ``image``, as Juju cannot tell them from it."""
    products = feed.products(content_id, path=PRODUCTS_PATH if content_id == CONTENT_ID else None)
    at = _version_name(version, clock)
    found = () if products is None else items(products)
    same = (item.id for place, item in found if products and _is_same(image, at, products, place, item))
    return [each for each in same if each is not None and each != image.id]


def _version_name(version: str | None, clock: Clock) -> str:
    return version or datetime.fromtimestamp(clock() // 1_000_000, UTC).strftime("%Y%m%d")


def replace_with(feed: Feed, image: ImageId, *, content_id: str = CONTENT_ID, clock: Clock = now) -> Place:
    """Put an image into a feed in place of those of any version that Juju takes for the same."""
    products = feed.products(content_id)
    if products is not None:
        left = without(products, lambda place, item: _is_same(image, place.version, products, place, item))
        feed.put(content_id, left)
    return add(feed, image, content_id=content_id, clock=clock)


def remove(feed: Feed, image_id: str, *, region: str | None = None) -> list[Place]:
    """Take an image out of all products of the feed, and return where it stood; nowhere is fine."""
    gone: list[Place] = []
    for content_id, entry in list(feed.index.index.items()):
        if entry.datatype not in (None, DATATYPE) or entry.format == "index:1.0":
            continue
        products = feed.products(content_id)
        if products is None:
            continue
        leaving = [
            place
            for place, item in items(products)
            if item.id == image_id and (region is None or region_of(products, place, item) == region)
        ]
        if not leaving:
            continue
        gone += leaving
        left = without(products, lambda place, _, leaving=leaving: place in leaving)  # type: ignore[misc]
        vanished = _regions(products) - _regions(left)
        clouds = entry.clouds and tuple(cloud for cloud in entry.clouds if cloud.region not in vanished)
        feed.put(content_id, left, clouds=clouds and _clouds(left, clouds))
    return gone


def items(products: Products) -> Iterator[tuple[Place, Item]]:
    """Yield every item and where it stands, in the order of the document."""
    for name, product in products.products.items():
        for at, version in product.versions.items():
            for key, item in version.items.items():
                yield Place(name, at, key), item


def _is_same(image: ImageId, at: str, products: Products, place: Place, item: Item) -> bool:
    """Return whether Juju could not tell an item from ``image``."""
    if (place.product, place.version) != (image.product, at):
        return False
    told = tuple(_told(products, place, item, name) or None for name in ("region", "virt", "root_store"))
    return told == (image.region, image.virt, image.root_store)


def _key(products: Products, image: ImageId, at: str) -> str:
    """Return a name for the item: the image's id, unless another item of the version has it."""
    product = products.products.get(image.product)
    version = product.versions.get(at) if product else None
    taken = version.items if version else {}
    wanted = [image.id, f"{image.id}-{image.region}", *(f"{image.id}-{image.region}-{n}" for n in range(2, 1000))]
    return next(key for key in wanted if key not in taken)


def _clouds(products: Products, wanted: tuple[Cloud, ...]) -> tuple[Cloud, ...]:
    """Return the pairs that the index names: those that are wanted, and those of the items."""
    found = list(wanted)
    for place, item in items(products):
        region, endpoint = region_of(products, place, item), _told(products, place, item, "endpoint")
        if region is not None and endpoint is not None:
            found.append(Cloud(region=region, endpoint=endpoint))
    seen: dict[tuple[str | None, str | None], Cloud] = {}
    for cloud in found:
        seen.setdefault((cloud.region, cloud.endpoint), cloud)
    return tuple(seen.values())


def stream_of(product: str) -> str:
    """Return the stream that the name of a product tells."""
    return product.partition(":")[0].removeprefix("com.ubuntu.cloud").removeprefix(".") or RELEASED


def region_of(products: Products, place: Place, item: Item) -> str | None:
    """Return the region of an item, its own or that of what it stands in."""
    return _told(products, place, item, "region")


def _regions(products: Products) -> set[str | None]:
    return {region_of(products, place, item) for place, item in items(products)}


def _told(products: Products, place: Place, item: Item, name: str) -> str | None:
    """Return what Juju takes for a fact of an item: by an alias, its own, or of what it stands in.

    Source: Juju applies ``_aliases`` to the item itself, over what it has, and then fills in what is empty; ``virt``
    and ``root_store`` of a version it does not read.
    """
    product = products.products[place.product]
    above = (product.versions[place.version], product, products)
    inherited = next((value for each in above if (value := getattr(each, name, None))), None)
    return _by_aliases(products, item, name) or getattr(item, name) or inherited


def _by_aliases(products: Products, item: Item, name: str) -> str | None:
    aliases = products.extra.get("_aliases")
    for attribute, by_value in aliases.items() if isinstance(aliases, dict) else ():
        value = item.extra.get(attribute) or getattr(item, attribute, None)
        facts = by_value.get(value) if isinstance(by_value, dict) and isinstance(value, str) else None
        found = facts.get(name) if isinstance(facts, dict) else None
        if isinstance(found, str) and found:
            return found
    return None
