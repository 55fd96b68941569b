"""Images to simplestreams documents of type ``image-ids``: pure, and the same input gives the same bytes.

What Juju, the pickiest reader, makes of them decides the shape:

- one item for each region, whose ``region`` and ``endpoint`` stand on the item itself; the item's name holds both the
  region and the image id, so that one image in two regions is two items;
- the index lists every spelling of every region's endpoint, of which Juju takes any that is equal to its own;
- two items that differ in nothing Juju looks at must not share a version: the images of one day become ``YYYYMMDD``,
  ``YYYYMMDD.001``, ``YYYYMMDD.002`` ... by age, which sort as strings;
- ``virt`` stands only where it tells something: on guests other than KVM, and on KVM guests beside such ones. Items
  that differ in ``virt`` do not replace one another, so an idle ``virt`` would keep an old image in the choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from headwater.images.model import Image
from headwater.streams.documents import (
    PRODUCTS_FORMAT,
    Cloud,
    Index,
    IndexEntry,
    Item,
    Mirrors,
    Product,
    Products,
    Version,
)
from headwater.streams.placement import KVM, Placement, place
from headwater.streams.settings import StreamsSettings

IMAGE_IDS = "image-ids"
# Juju asks for it always, and an object store may answer 403 where there is none: say that there are no mirrors.
NO_MIRRORS = Mirrors(mirrors={})

_MICROSECONDS = 1_000_000


def products_of(images: Iterable[Image], settings: StreamsSettings) -> Products:
    """Return the products document of all images that ``placement.place`` finds a place for.

    ``updated`` is the newest change of an image listed, and the start of 1970 when there is none.
    """
    placed = [(image, place(image, settings.virt_types)) for image in images]
    by_product: dict[str, list[_Placed]] = defaultdict(list)
    for image, placement in placed:
        if isinstance(placement, Placement):
            by_product[placement.product_id].append(_Placed(image, placement))
    newest = max((one.image.updated_at for group in by_product.values() for one in group), default=0)
    return Products(
        content_id=settings.content_id,
        datatype=IMAGE_IDS,
        updated=format_datetime(datetime.fromtimestamp(newest // _MICROSECONDS, UTC)),
        products={name: _product(by_product[name], settings) for name in sorted(by_product)},
    )


def index_of(products: Products, settings: StreamsSettings) -> Index:
    """Return the index over the one products document."""
    entry = IndexEntry(
        path=f"streams/v1/{settings.products_name}",
        datatype=IMAGE_IDS,
        format=PRODUCTS_FORMAT,
        updated=products.updated,
        cloudname=settings.cloud_name,
        clouds=tuple(
            Cloud(region=cloud.region, endpoint=spelling) for cloud in settings.clouds for spelling in cloud.endpoint
        ),
        products=tuple(products.products),
    )
    return Index(index={settings.content_id: entry}, updated=products.updated)


@dataclass(frozen=True, slots=True)
class _Placed:
    image: Image
    placement: Placement


def _product(group: Sequence[_Placed], settings: StreamsSettings) -> Product:
    first = group[0].placement
    mixed = len({one.placement.virt for one in group}) > 1
    versions: dict[str, dict[str, Item]] = defaultdict(dict)
    for name, one in _named(group):
        virt = one.placement.virt if mixed or one.placement.virt != KVM else None
        for cloud in settings.clouds:
            versions[name][f"{cloud.region}-{one.image.id}"] = Item(
                id=one.image.id, virt=virt, region=cloud.region, endpoint=cloud.endpoint[0]
            )
    return Product(
        os=first.os,
        version=first.version,
        arch=first.arch,
        versions={name: Version(items=versions[name]) for name in sorted(versions)},
    )


def _named(group: Sequence[_Placed]) -> Iterable[tuple[str, _Placed]]:
    """Yield each image with the name of its version; in a version each kind of guest is there once."""
    by_day: dict[tuple[str, str], list[_Placed]] = defaultdict(list)
    for one in sorted(group, key=lambda one: (one.image.created_at, one.image.id)):
        day = datetime.fromtimestamp(one.image.created_at // _MICROSECONDS, UTC)
        by_day[f"{day:%Y%m%d}", one.placement.virt].append(one)
    for (day_name, _), of_day in by_day.items():
        digits = max(3, len(str(len(of_day))))
        for number, one in enumerate(of_day):
            yield (f"{day_name}.{number:0{digits}}" if number else day_name), one
