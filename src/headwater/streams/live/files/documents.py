"""Image files of the catalogue to a simplestreams document of type ``image-downloads``: pure, as ``live.image_ids``.

What LXD and Incus make of it decides the shape. Each image is a version: its root, and two items for the two readers
that lead to one metadata tarball and name the fingerprint. All that is said of a product stands on the product. A path
holds the hash of what lies behind it, so that it never changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from headwater.clock import rfc2822
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image
from headwater.streams.format.documents import PRODUCTS_FORMAT, IndexEntry, Item, Product, Products, Version
from headwater.streams.format.json_objects import filled, member
from headwater.streams.format.layout import path_of
from headwater.streams.live.files.placement import FilePlacement
from headwater.streams.live.index import entry_text, path_in
from headwater.streams.writing.image_files import (
    CONTENT_ID,
    DATATYPE,
    DIRECTORY,
    ITEM_NAMES,
    METADATA_TYPES,
    ImageDescription,
    told_of,
)

METADATA_NAME: Final = "metadata.tar.xz"
DOCUMENT: Final = path_of(CONTENT_ID).rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ListedFile:
    """What a version says of its image."""

    image_id: str
    about: ImageDescription
    ftype: str
    size: int
    sha256: str
    metadata_size: int
    metadata_sha256: str
    fingerprint: str
    updated_at: int  # microseconds since 1970

    @property
    def kind(self) -> str:
        """Of which kind of guest the newest one is taken."""
        return "virtual-machine" if self.ftype.startswith("disk") else "container"


def is_known(image: Image, at: FilePlacement, found: Fingerprint | None) -> bool:
    """Return whether the fingerprint of an image at its place is known, or why it cannot be made."""
    if found is None or not found.is_of(image):
        return False
    return found.error is not None or (found.combined is not None and found.product == at.product_id)


def listed_file(image: Image, at: FilePlacement, found: Fingerprint | None) -> ListedFile | None:
    """Return what is said of an image; ``None`` while its fingerprint is not known, or that of what it was before."""
    if found is None or found.combined is None or found.sha256 is None:
        return None
    if found.product != at.product_id or not found.is_of(image):
        return None
    return ListedFile(
        image_id=image.id,
        about=at.about,
        ftype=at.ftype,
        size=image.size or 0,
        sha256=found.sha256,
        metadata_size=len(found.metadata),
        metadata_sha256=hashlib.sha256(found.metadata).hexdigest(),
        fingerprint=found.combined,
        updated_at=max(image.updated_at, found.tried_at),
    )


@dataclass(frozen=True, slots=True)
class ListedFileProduct:
    """One product as its images make it."""

    text: bytes  # as it stands in the products document
    digest: bytes  # of the text
    in_index: bytes  # as the index names it
    updated_at: int
    newest: Mapping[str, str]  # the id of the image that readers take, by kind of guest


@dataclass(frozen=True)
class ListedFiles:
    """What the feed says of files; nothing of it changes any more."""

    products: Mapping[str, ListedFileProduct]  # in the order of their ids
    content_id: str = CONTENT_ID

    @cached_property
    def updated_at(self) -> int:
        """The newest change of an image listed, in microseconds since 1970; 0 when there is none."""
        return max((product.updated_at for product in self.products.values()), default=0)

    @property
    def path(self) -> str:
        """Where the products document lies in a feed."""
        return path_of(self.content_id)

    @property
    def documents(self) -> Mapping[str, Callable[[], bytes]]:
        """What gives the products document, by the name of its file."""
        return {self.path.rpartition("/")[2]: self.products_text}

    def products_text(self) -> bytes:
        """Return the products document."""
        updated = rfc2822(self.updated_at)
        document = Products(content_id=self.content_id, datatype=DATATYPE, updated=updated, products={})
        return filled(document.to_bytes(), "products", 1, [product.text for product in self.products.values()])

    def tag(self) -> str:
        """Return what is another one for another products document, in less time than a digest of all of it takes."""
        parts = [rfc2822(self.updated_at).encode("ascii"), *(product.digest for product in self.products.values())]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def entries(self, *, signed: bool = False) -> Iterator[bytes]:
        """Yield the entry of the index; none where nothing is listed, as readers pass over an entry of no products."""
        if not self.products:
            return
        entry = IndexEntry(
            path=path_in(self.path, signed=signed),
            datatype=DATATYPE,
            format=PRODUCTS_FORMAT,
            updated=rfc2822(self.updated_at),
            products=(),
        )
        yield entry_text(self.content_id, entry, [product.in_index for product in self.products.values()])


def listed_product(
    about: ImageDescription, versions: Iterable[bytes], *, updated_at: int, newest: Mapping[str, str]
) -> ListedFileProduct:
    """Return a product that is made of the texts of its versions in order; its newest image says what it is."""
    product = Product(versions={}, extra=about.facts)
    name = about.product
    text = filled(member(name, product.to_dict(), 2), "versions", 3, versions)
    return ListedFileProduct(
        text=text,
        digest=hashlib.sha256(text).digest(),
        in_index=f"    {json.dumps(name)}".encode("ascii"),
        updated_at=updated_at,
        newest=newest,
    )


def version_text(name: str, file: ListedFile) -> bytes:
    """Return a version as it stands in a product."""
    values = {
        "name": name,
        "root_path": root_path(file),
        "size": str(file.size),
        "sha256": file.sha256,
        "metadata_path": metadata_path(file),
        "metadata_size": str(file.metadata_size),
        "metadata_sha256": file.metadata_sha256,
        "fingerprint": file.fingerprint,
    }
    return _template(file.ftype) % {each.encode("ascii"): value.encode("ascii") for each, value in values.items()}


def _place_for(value: str) -> str:
    """Return what stands for a value in texts that are else the same for thousands of images."""
    return f"\0{value}\0"


@cache
def _template(ftype: str) -> bytes:
    """Return the text of a version, with places for its values; it is written once by the classes of all documents."""
    root = Item(ftype=ftype, path=_place_for("root_path"), size=_place_for("size"), sha256=_place_for("sha256"))
    metadata = {
        each: Item(
            ftype=each,
            path=_place_for("metadata_path"),
            size=_place_for("metadata_size"),
            sha256=_place_for("metadata_sha256"),
            extra=told_of({ftype: _place_for("fingerprint")}),
        )
        for each in METADATA_TYPES
    }
    version = Version(items={ITEM_NAMES[ftype]: root, **metadata})
    text = member(_place_for("name"), version.to_dict(), 4).decode("ascii").replace("%", "%%")
    numbers = re.sub(r'"\\u0000(\w*size)\\u0000"', r"%(\1)b", text)  # a size is a number: without quotes
    return re.sub(r"\\u0000(\w+)\\u0000", r"%(\1)b", numbers).encode("ascii")


def root_path(file: ListedFile) -> str:
    """Return where the data of an image lies."""
    return f"{DIRECTORY}/{file.image_id}/{file.sha256}/{ITEM_NAMES[file.ftype]}"


def metadata_path(file: ListedFile) -> str:
    """Return where the metadata of an image lies."""
    return f"{DIRECTORY}/{file.image_id}/{file.metadata_sha256}/{METADATA_NAME}"
