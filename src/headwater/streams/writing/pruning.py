"""Versions and whole products taken out of a feed; old versions go, and each product keeps its newest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from headwater.streams.format.documents import INDEX_FORMAT, Item
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.merging import Place, versions_beyond, without


def prune(feed: Feed, keep: int, content_ids: Collection[str] | None = None) -> list[tuple[str, str]]:
    """Take all but the newest ``keep`` versions of each product out, and return the product and name of each.

    Args:
        content_ids: Of the products that are looked at; nothing: all.
    """
    gone: list[tuple[str, str]] = []
    for content_id, entry in list(feed.index.index.items()):
        if (content_ids and content_id not in content_ids) or entry.format == INDEX_FORMAT:
            continue
        products = feed.products(content_id)
        if products is None:
            continue
        left = {}
        for name, product in products.products.items():
            old = versions_beyond(product, keep)
            gone += [(name, version) for version in old]
            versions = {at: version for at, version in product.versions.items() if at not in old}
            left[name] = replace(product, versions=versions) if old else product
        if left != products.products:
            feed.put(content_id, replace(products, products=left))
    return gone


def remove(feed: Feed, product: str, *, version: str | None = None, item: str | None = None) -> list[Place]:
    """Take a product out of all documents that have it, or of it one version or item, and return what stood where."""
    gone: list[Place] = []

    def leaves(place: Place, _: Item) -> bool:
        left = place.product == product and version in (None, place.version) and item in (None, place.item)
        if left:
            gone.append(place)
        return left

    for content_id, entry in list(feed.index.index.items()):
        if entry.format == INDEX_FORMAT or product not in (entry.products or (product,)):
            continue
        products = feed.products(content_id)
        left = None if products is None else without(products, leaves)
        if left is not None and left != products:
            feed.put(content_id, left)
    return gone
