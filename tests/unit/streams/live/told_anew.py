"""The documents of the feed told a second time, all anew and in the plainest way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from headwater.images.model import Image
from headwater.streams.format.documents import (
    PRODUCTS_FORMAT,
    Cloud,
    Index,
    IndexEntry,
    Item,
    Product,
    Products,
    Version,
)
from headwater.streams.format.guests import KVM
from headwater.streams.live.image_ids import version_name
from headwater.streams.live.placement import Placement, place
from headwater.streams.settings import StreamsSettings


def streams_of(images: Iterable[Image], settings: StreamsSettings) -> list[str]:
    """Return the streams that have a document."""
    placed = [place(image, settings.virt_types) for image in images]
    return ["released", *sorted({each.stream for each in placed if isinstance(each, Placement)} - {"released"})]


def products_of(images: Iterable[Image], settings: StreamsSettings, stream: str = "released") -> Products:
    """Return the products document of all images that ``placement.place`` finds a place for in a stream.

    ``updated`` is the newest change of an image listed, and the start of 1970 when there is none.
    """
    placed = [(image, place(image, settings.virt_types)) for image in sorted(images, key=lambda image: image.id)]
    by_product: dict[str, list[_Placed]] = defaultdict(list)
    for image, placement in placed:
        if isinstance(placement, Placement) and placement.stream == stream:
            by_product[placement.product_id].append(_Placed(image, placement))
    newest = max((one.image.updated_at for group in by_product.values() for one in group), default=0)
    return Products(
        content_id=settings.content_id_of(stream),
        datatype="image-ids",
        updated=format_datetime(datetime.fromtimestamp(newest // 1_000_000, UTC)),
        products={name: _product(by_product[name], settings) for name in sorted(by_product)},
    )


def index_of(documents: Iterable[Products], settings: StreamsSettings) -> Index:
    """Return the index over the products documents."""
    entries = {products.content_id or "": _entry(products, settings) for products in documents}
    newest = max((entry.updated or "" for entry in entries.values()), key=parsedate_to_datetime)
    return Index(index=entries, updated=newest)


def _entry(products: Products, settings: StreamsSettings) -> IndexEntry:
    return IndexEntry(
        path=f"streams/v1/{(products.content_id or '').replace(':', '-')}.json",
        datatype="image-ids",
        format=PRODUCTS_FORMAT,
        updated=products.updated,
        cloudname=settings.cloud_name,
        clouds=tuple(
            Cloud(region=cloud.region, endpoint=spelling) for cloud in settings.clouds for spelling in cloud.endpoint
        ),
        products=tuple(products.products),
    )


def newest_of(documents: Iterable[Products]) -> dict[tuple[str, str], str]:
    """Return the id of the image that Juju takes, by product id and kind of guest."""
    return {
        (name, item.virt or KVM): item.id
        for products in documents
        for name, product in products.products.items()
        for version in product.versions.values()  # the last one wins
        for item in version.items.values()
        if item.id
    }


@dataclass(frozen=True, slots=True)
class _Placed:
    image: Image
    placement: Placement


def _product(group: Sequence[_Placed], settings: StreamsSettings) -> Product:
    first = group[0].placement
    mixed = len({one.placement.virt for one in group}) > 1
    versions: dict[str, dict[str, Item]] = defaultdict(dict)
    for one in group:
        virt = one.placement.virt if mixed or one.placement.virt != KVM else None
        items = versions[version_name(one.image)]
        for cloud in settings.clouds:
            items[f"{cloud.region}-{one.image.id}"] = Item(
                id=one.image.id, virt=virt, region=cloud.region, endpoint=cloud.endpoint[0]
            )
    return Product(
        os=first.os,
        version=first.version,
        arch=first.arch,
        versions={name: Version(items=versions[name]) for name in sorted(versions)},
    )
