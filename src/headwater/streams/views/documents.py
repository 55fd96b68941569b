"""A view as documents: the feed of its image ids and of its files, and the lists of checksums beside the files.

One index names both, as Juju reads the one kind and the others the other, and beside them what LXD and Incus take of
the images, once their data has been read for that. The products are named by what they say, as in the feed for
everybody (``live/feed.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from headwater.clock import rfc2822
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, sha256_of
from headwater.images.model import Image
from headwater.streams.format.arches import JUJU_ARCHES
from headwater.streams.format.documents import (
    PRODUCTS_FORMAT,
    Index,
    IndexEntry,
    Item,
    Product,
    Products,
    Version,
    signed_name,
)
from headwater.streams.format.layout import DIRECTORY
from headwater.streams.live.document import Document, Once, StreamNotFound
from headwater.streams.live.feed import JSON_TYPE, SIGNED_TYPE
from headwater.streams.live.files.documents import ListedFiles
from headwater.streams.live.files.kept_files import KeptFiles
from headwater.streams.live.image_ids import NO_MIRRORS, version_name
from headwater.streams.live.index import TAG_DIGITS, index_text, naming_tagged
from headwater.streams.live.kept_products import KeptProducts
from headwater.streams.settings import StreamsSettings
from headwater.streams.views.checksums import LISTS, checksum, checksums
from headwater.streams.views.names import by_file_name, family_name, file_name
from headwater.streams.writing.image_files import DATATYPE

FILES: Final = "images"  # content id of the files
ROOTS: Final = "images:lxd"  # of those that LXD and Incus take
TEXT_TYPE: Final = "text/plain; charset=utf-8"
SIGNATURE_TYPE: Final = "application/pgp-signature"
# Source: the file types that LXD, Incus and the glance mirror know; others are called as their format is.
_FTYPES: Final[Mapping[str, str]] = {"qcow2": "disk1.img", "squashfs": "squashfs", "root-tar": "root.tar.xz"}


class Signs(Protocol):
    """What signs: see ``signing.Signer``."""

    def sign(self, text: bytes) -> bytes: ...

    def sign_detached(self, document: bytes) -> bytes: ...


class ViewDocuments:
    """All documents of one view as its images were at one time, each made when it is first asked for."""

    def __init__(
        self,
        images: Collection[Image],
        settings: StreamsSettings,
        signer: Signs | None,
        *,
        known: Mapping[str, Fingerprint],
        modified_at: int,
    ) -> None:
        """Take the images that are in the view.

        Args:
            known: What was found of their data, by image id.
            modified_at: Second since 1970.
        """
        self._signer, self._modified_at, self._settings = signer, modified_at, settings
        self._documents: dict[str, Once[Document]] = {}
        listed = KeptProducts(settings, images, for_everybody=False).listed()
        products = {name: text() for name, text in listed.documents.items()}
        sha256 = sha256_of(known.values(), images)
        files = _files(images, sha256)
        products[f"{FILES}.json"] = files.to_bytes()
        roots = _roots(images, known)
        index = Index.from_bytes(index_text(listed.entries(), rfc2822(listed.updated_at)))
        entries = {FILES: _entry(f"{DIRECTORY}/{FILES}.json", files.updated, files.products)}
        if roots.products:
            products |= {name: text() for name, text in roots.documents.items()}
            entries[ROOTS] = _entry(roots.path, rfc2822(roots.updated_at), roots.products)
        self.size = sum(map(len, products.values()))  # bytes, about what is held in memory
        self.tag = hashlib.sha256(b"".join(products.values())).hexdigest()[:TAG_DIGITS]
        index = replace(index, index={**index.index, **entries})
        plain, signed = (
            naming_tagged(each.to_bytes(), products, self.tag) for each in (index, index.with_signed_paths())
        )
        for name in ("index.json", "index2.json"):
            self._add_stream(name, plain, signed)
        self._add_stream("mirrors.json", NO_MIRRORS.to_bytes())
        for name, text in products.items():
            self._add_stream(name, text)
        families: dict[str, list[Image]] = {}
        for image in images:
            families.setdefault(family_name(image), []).append(image)
        for below, some in {"": images, **{f"families/{name}/": some for name, some in families.items()}}.items():
            for name, algorithm in LISTS.items():
                self._add_list(f"{below}{name}", some, algorithm, sha256)

    def document(self, name: str) -> Document:
        """Return the document below the view of a name, such as ``streams/v1/index.json`` or ``SHA256SUMS``.

        Raises:
            StreamNotFound: The view has none of this name; signed ones exist with a signing key only.
            SigningKeyExpired, SigningProcessLost: It is a signed one, and cannot be signed.
        """
        found = self._documents.get(name)
        if found is None:
            raise StreamNotFound(name)
        return found()

    def _add_stream(self, name: str, text: bytes, signed_text: bytes | None = None) -> None:
        self._add(f"{DIRECTORY}/{name}", lambda: text, JSON_TYPE)
        if (signer := self._signer) is not None:
            signed = text if signed_text is None else signed_text
            self._add(f"{DIRECTORY}/{signed_name(name)}", lambda: signer.sign(signed), SIGNED_TYPE)

    def _add_list(self, name: str, images: Iterable[Image], algorithm: str, known: Mapping[str, str]) -> None:
        text = Once(lambda: checksums(images, algorithm, known))
        self._add(name, text, TEXT_TYPE)
        if (signer := self._signer) is not None:
            self._add(f"{name}.gpg", lambda: signer.sign_detached(text()), SIGNATURE_TYPE)

    def _add(self, name: str, text: Callable[[], bytes], content_type: str) -> None:
        self._documents[name] = Once(lambda: Document(text(), content_type, self._modified_at))


def _entry(path: str, updated: str | None, products: Iterable[str]) -> IndexEntry:
    return IndexEntry(path=path, datatype=DATATYPE, format=PRODUCTS_FORMAT, updated=updated, products=tuple(products))


def _files(images: Collection[Image], known: Mapping[str, str]) -> Products:
    """Return the files of the images whose size and checksum are known, as a feed names them."""
    products: dict[str, list[Image]] = {}
    for image in sorted(by_file_name(images).values(), key=lambda image: (image.created_at, image.id)):
        arch = _arch(image)
        if image.size and any(checksum(image, each, known) for each in ("sha256", "sha512", "md5")):
            products.setdefault(f"{family_name(image)}:{arch or 'any'}", []).append(image)
    return Products(
        content_id=FILES,
        datatype=DATATYPE,
        updated=rfc2822(max((image.updated_at for image in images), default=0)),
        products={name: _product(products[name], known) for name in sorted(products)},
    )


def _roots(images: Iterable[Image], known: Mapping[str, Fingerprint]) -> ListedFiles:
    """Return what LXD and Incus take of the images whose fingerprint is known."""
    kept = KeptFiles(for_everybody=False)
    for image in images:
        kept.put(image, known.get(image.id))
    return replace(kept.listed(), content_id=ROOTS)


def _product(images: Collection[Image], known: Mapping[str, str]) -> Product:
    *_, newest = images
    said = newest.properties
    return Product(
        os=said.get("os_distro") or None,
        version=said.get("os_version") or None,
        arch=_arch(newest),
        versions={version_name(image): _version(image, known) for image in images},
    )


def _version(image: Image, known: Mapping[str, str]) -> Version:
    ftype = _FTYPES.get(image.disk_format or "", image.disk_format or "raw")
    item = Item(
        path=file_name(image),
        ftype=ftype,
        size=image.size,
        md5=checksum(image, "md5", known),
        sha256=checksum(image, "sha256", known),
        sha512=checksum(image, "sha512", known),
        extra={"image_id": image.id},
    )
    return Version(label="release", pubname=image.name, items={ftype: item})


def _arch(image: Image) -> str | None:
    said = image.properties.get("architecture", "").strip().lower()
    return JUJU_ARCHES.get(said, said or None)
