"""The image ids that a sync has made, as a feed in a tree: for Image services that have no live feed of their own.

Products keep the names of the source, under which Juju asks for them; region and endpoint stand on each item.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from headwater.clock import Clock, now
from headwater.streams.format.documents import Cloud, Item, Products
from headwater.streams.signing.feeds.signers import SignsDocuments
from headwater.streams.syncing.items import Key, key_of
from headwater.streams.syncing.planning import Document
from headwater.streams.syncing.properties import METADATA
from headwater.streams.trees.tree import Tree
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.image_ids import DATATYPE
from headwater.streams.writing.merging import Place, with_item, without

_OF_PRODUCT: Final[tuple[str, ...]] = (
    "arch",
    "version",
    "os",
    "release",
    "release_title",
    "release_codename",
    "aliases",
    "support_eol",
)
_OF_VERSION: Final[tuple[str, ...]] = ("label", "pubname")
_VIRT: Final = {"qemu": "kvm", "lxc": "lxd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOfFeed:
    """Where the images are: what Juju compares with its own idea of the cloud."""

    region: str
    endpoints: tuple[str, ...]  # of Keystone, in every spelling of the users; the first one stands on the items
    name: str = "headwater"


def write_image_ids(
    tree: Tree,
    images: Iterable[Document],
    content_id: str,
    cloud: CloudOfFeed,
    *,
    signer: SignsDocuments | None = None,
    clock: Clock = now,
) -> int:
    """Write the feed of these images, and return how many of them are in it; what else is in the tree stays.

    Of two images of one version that Juju could not tell apart, the one whose item comes first stands in it.

    Raises:
        FeedSigned, PathChanged, TreeCannot, TreeRefused, TreeUnavailable: As they say.
    """
    clouds = tuple(Cloud(region=cloud.region, endpoint=each) for each in cloud.endpoints)
    listed = list(_distinct(images, cloud))

    def change(feed: feeds.Feed) -> int:
        there = feed.products(content_id) or Products(products={}, content_id=content_id, datatype=DATATYPE)
        # Other regions may have their images in the same document.
        products = without(there, lambda _, item: item.region in (None, cloud.region))
        for key, item, told in listed:
            place = _place(products, key, cloud.region)
            product = {name: told[name] for name in _OF_PRODUCT if name in told}
            version = {name: told[name] for name in _OF_VERSION if name in told}
            products = with_item(products, place, item, product=product, version=version)
        entry = feed.index.index.get(content_id)
        others = [each for each in (entry.clouds if entry else None) or () if each.region != cloud.region]
        feed.put(content_id, products, cloudname=cloud.name, clouds=(*clouds, *others))
        return len(listed)

    return feeds.edit(tree, change, signer=signer, clock=clock)


def _distinct(images: Iterable[Document], cloud: CloudOfFeed) -> Iterator[tuple[Key, Item, dict[str, Any]]]:
    taken: set[tuple[str, str, str | None]] = set()
    for key, image in sorted(_listed(images), key=lambda each: each[0]):
        item, told = _item(image, cloud)
        if (key.product, key.version, item.virt) not in taken:
            taken.add((key.product, key.version, item.virt))
            yield key, item, told


def _place(products: Products, key: Key, region: str) -> Place:
    product = products.products.get(key.product)
    version = product.versions.get(key.version) if product else None
    is_taken = version is not None and key.item in version.items
    return Place(key.product, key.version, f"{key.item}-{region}" if is_taken else key.item)


def _listed(images: Iterable[Document]) -> Iterator[tuple[Key, Document]]:
    for image in images:
        key = key_of(image)
        if key is not None and image["status"] == "active" and not image.get("os_hidden"):
            yield key, image


def _item(image: Document, cloud: CloudOfFeed) -> tuple[Item, dict[str, Any]]:
    try:
        told = json.loads(image.get(METADATA) or "{}")
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    virt = _VIRT.get(str(image.get("hypervisor_type")))
    item = Item(id=str(image["id"]), region=cloud.region, endpoint=cloud.endpoints[0], virt=virt)
    facts = {"name": image.get("name"), "owner_id": image.get("owner"), "md5": image.get("checksum")}
    more = {**item.extra, **{name: value for name, value in facts.items() if value is not None}}
    return replace(item, extra=more, size=image.get("size"), ftype=told.get("ftype")), told
