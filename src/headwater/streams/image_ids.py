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

Documents are put together from the texts of their products, and these from the texts of their versions: who keeps them
(``kept_products.py``) makes anew what has changed only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache, cached_property
from typing import Final
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
from headwater.streams.json_objects import filled, member
from headwater.streams.placement import KVM, Placement
from headwater.streams.settings import CloudEndpoint, StreamsSettings

IMAGE_IDS = "image-ids"
# Juju asks for it always, and an object store may answer 403 where there is none: say that there are no mirrors.
NO_MIRRORS = Mirrors(mirrors={})

_MICROSECONDS = 1_000_000
_ID_DIGITS = 12


def version_name(image: Image) -> str:
    """Return the name of the version that is ``image``: ``YYYYMMDD.N``, as long for each, sorted as a string by age.

    N is the time of day down to the microsecond, and then the last digits of the id as a number: images may be created
    in the same microsecond.
    """
    seconds, microseconds = divmod(image.created_at, _MICROSECONDS)
    created = datetime.fromtimestamp(seconds, UTC)
    return f"{created:%Y%m%d.%H%M%S}{microseconds:06}{UUID(image.id).int % 10**_ID_DIGITS:0{_ID_DIGITS}}"


@dataclass(frozen=True, slots=True)
class ListedImage:
    """What a version says of its image, but for the region."""

    image_id: str
    virt: str
    updated_at: int  # microseconds since 1970


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """One product as its images make it."""

    text: bytes  # as it stands in the products document
    in_index: bytes  # as the index names it
    updated_at: int  # the newest change of an image listed, in microseconds since 1970
    newest: Mapping[str, str]  # the id of the image that Juju takes, by kind of guest


@dataclass(frozen=True)
class ListedProducts:
    """What the feed says; nothing of it changes any more."""

    products: Mapping[str, ListedProduct]  # in the order of their ids
    settings: StreamsSettings

    @cached_property
    def updated(self) -> str:
        """The newest change of an image listed, and the start of 1970 when there is none."""
        newest = max((product.updated_at for product in self.products.values()), default=0)
        return format_datetime(datetime.fromtimestamp(newest // _MICROSECONDS, UTC))

    def products_text(self) -> bytes:
        """Return the products document."""
        document = Products(content_id=self.settings.content_id, datatype=IMAGE_IDS, updated=self.updated, products={})
        return filled(document.to_bytes(), "products", 1, [product.text for product in self.products.values()])

    def index_text(self, *, signed: bool = False) -> bytes:
        """Return the index over the one products document, or over its signed twin."""
        settings = self.settings
        entry = IndexEntry(
            path=f"streams/v1/{settings.products_name}",
            datatype=IMAGE_IDS,
            format=PRODUCTS_FORMAT,
            updated=self.updated,
            cloudname=settings.cloud_name,
            clouds=tuple(
                Cloud(region=cloud.region, endpoint=spelling)
                for cloud in settings.clouds
                for spelling in cloud.endpoint
            ),
            products=(),
        )
        index = Index(index={settings.content_id: entry}, updated=self.updated)
        document = index.with_signed_paths() if signed else index
        return filled(document.to_bytes(), "products", 3, [product.in_index for product in self.products.values()])


def listed_product(
    at: Placement, versions: Iterable[bytes], *, updated_at: int, newest: Mapping[str, str]
) -> ListedProduct:
    """Return a product that is made of the texts of its versions in order."""
    product = Product(os=at.os, version=at.version, arch=at.arch, versions={})
    return ListedProduct(
        text=filled(member(at.product_id, product.to_dict(), 2), "versions", 3, versions),
        in_index=f"    {json.dumps(at.product_id)}".encode("ascii"),
        updated_at=updated_at,
        newest=newest,
    )


def version_text(name: str, images: Iterable[ListedImage], clouds: Sequence[CloudEndpoint], *, is_mixed: bool) -> bytes:
    """Return a version as it stands in a product.

    Args:
        images: One, but for images whose names are the same by a rare chance.
        is_mixed: The product has several kinds of guest.
    """
    items = []
    for image in images:
        virt = image.virt if is_mixed or image.virt != KVM else None
        of_any = _items(tuple((cloud.region, cloud.endpoint[0]) for cloud in clouds), virt)
        items.append(of_any.replace(_ANY_TEXT, image.image_id.encode("ascii")))
    return filled(_VERSION.replace(_ANY_TEXT, name.encode("ascii")), "items", 5, items)


# Stands for what differs in thousands of texts that are else the same. No setting and no word can hold it.
_ANY: Final = "\0"
_ANY_TEXT: Final = json.dumps(_ANY)[1:-1].encode("ascii")
_VERSION: Final = member(_ANY, Version(items={}).to_dict(), 4)


@cache
def _items(clouds: tuple[tuple[str, str], ...], virt: str | None) -> bytes:
    return b",\n".join(
        member(f"{region}-{_ANY}", Item(id=_ANY, virt=virt, region=region, endpoint=endpoint).to_dict(), 6)
        for region, endpoint in clouds
    )
