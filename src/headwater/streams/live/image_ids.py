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

Each stream has a document of its own, and an entry in the index: ``released``, which is always there, and every stream
that an image names.

Documents are put together from the texts of their products, and these from the texts of their versions: who keeps them
(``kept_products.py``) makes anew what has changed only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import Final
from uuid import UUID

from headwater.clock import rfc2822
from headwater.images.model import Image
from headwater.streams.format.documents import (
    PRODUCTS_FORMAT,
    Cloud,
    IndexEntry,
    Item,
    Mirrors,
    Product,
    Products,
    Version,
)
from headwater.streams.format.guests import KVM
from headwater.streams.format.json_objects import filled, member
from headwater.streams.format.layout import RELEASED, path_of
from headwater.streams.live.index import entry_text, path_in
from headwater.streams.live.placement import Placement
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

    stream: str
    text: bytes  # as it stands in the products document
    in_index: bytes  # as the index names it
    updated_at: int  # the newest change of an image listed, in microseconds since 1970
    newest: Mapping[str, str]  # the id of the image that Juju takes, by kind of guest
    digest: bytes = field(init=False)  # of its text

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.text).digest())


@dataclass(frozen=True)
class ListedProducts:
    """What the feed says; nothing of it changes any more."""

    products: Mapping[str, ListedProduct]  # in the order of their ids
    settings: StreamsSettings

    @cached_property
    def streams(self) -> Mapping[str, Sequence[ListedProduct]]:
        """The products of each stream: of ``released`` first, and of the others in the order of their names."""
        found: dict[str, list[ListedProduct]] = {RELEASED: []}
        for product in self.products.values():
            found.setdefault(product.stream, []).append(product)
        return {name: found[name] for name in sorted(found, key=lambda name: (name != RELEASED, name))}

    @cached_property
    def updated_at(self) -> int:
        """The newest change of an image listed, in microseconds since 1970; 0 when there is none."""
        return _updated_at(self.products.values())

    @cached_property
    def tag(self) -> str:
        """What tells these products from others: it follows from all that they say."""
        digest = hashlib.sha256(f"{self.settings.content_id}\n{self.updated_at}\n".encode("ascii"))
        for product in self.products.values():
            digest.update(product.digest)
        return digest.hexdigest()

    @property
    def documents(self) -> Mapping[str, Callable[[], bytes]]:
        """What gives the products document of each stream, by the name of its file."""
        return {self.settings.products_of(name): partial(self.products_text, name) for name in self.streams}

    def products_text(self, stream: str = RELEASED) -> bytes:
        """Return the products document of a stream."""
        products = self.streams[stream]
        document = Products(
            content_id=self.settings.content_id_of(stream),
            datatype=IMAGE_IDS,
            updated=rfc2822(_updated_at(products)),
            products={},
        )
        return filled(document.to_bytes(), "products", 1, [product.text for product in products])

    def entries(self, *, signed: bool = False) -> Iterator[bytes]:
        """Yield the entries of the index, each over the products document of a stream, or over its signed twin."""
        settings = self.settings
        clouds = tuple(
            Cloud(region=cloud.region, endpoint=spelling) for cloud in settings.clouds for spelling in cloud.endpoint
        )
        for stream, products in self.streams.items():
            content_id = settings.content_id_of(stream)
            entry = IndexEntry(
                path=path_in(path_of(content_id), signed=signed),
                datatype=IMAGE_IDS,
                format=PRODUCTS_FORMAT,
                updated=rfc2822(_updated_at(products)),
                cloudname=settings.cloud_name,
                clouds=clouds,
                products=(),
            )
            yield entry_text(content_id, entry, [product.in_index for product in products])


def _updated_at(products: Iterable[ListedProduct]) -> int:
    return max((product.updated_at for product in products), default=0)


def listed_product(
    at: Placement, versions: Iterable[bytes], *, updated_at: int, newest: Mapping[str, str]
) -> ListedProduct:
    """Return a product that is made of the texts of its versions in order."""
    product = Product(os=at.os, version=at.version, arch=at.arch, versions={})
    return ListedProduct(
        stream=at.stream,
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
