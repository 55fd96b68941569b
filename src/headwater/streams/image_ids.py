"""Images to simplestreams documents of type ``image-ids``: pure, and the same input gives the same bytes.

What Juju, the pickiest reader, makes of them decides the shape:

- one item for each region, whose ``region`` and ``endpoint`` stand on the item itself; the item's name holds both the
  region and the image id, so that one image in two regions is two items;
- the index lists every spelling of every region's endpoint, of which Juju takes any that is equal to its own;
- two items that differ in nothing Juju looks at must not share a version: each image is a version of its own, whose
  name follows from that image alone. So it stays the same whatever comes, goes or hides beside it, which mirrors need:
  what they hold under a name they do not fetch again;
- ``virt`` stands only where it tells something: on guests other than KVM, and on KVM guests beside such ones. Items
  that differ in ``virt`` do not replace one another, so an idle ``virt`` would keep an old image in the choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

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
_ID_DIGITS = 12


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


def newest_of(products: Products) -> dict[tuple[str, str], str]:
    """Return the id of the image that Juju takes, by product id and kind of guest."""
    return {
        (name, item.virt or KVM): item.id
        for name, product in products.products.items()
        for version in product.versions.values()  # the last one wins
        for item in version.items.values()
        if item.id
    }


def version_name(image: Image) -> str:
    """Return the name of the version that is ``image``: ``YYYYMMDD.N``, as long for each, sorted as a string by age.

    N is the time of day down to the microsecond, and then the last digits of the id as a number: images may be created
    in the same microsecond.
    """
    seconds, microseconds = divmod(image.created_at, _MICROSECONDS)
    created = datetime.fromtimestamp(seconds, UTC)
    return f"{created:%Y%m%d.%H%M%S}{microseconds:06}{UUID(image.id).int % 10**_ID_DIGITS:0{_ID_DIGITS}}"


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
