"""Images for LXD and Incus: containers and virtual machines, as both of them read them.

A version has one metadata tarball, and one or more roots: a file system for containers, a disk for virtual machines.
An image is the pair, and its fingerprint the hash of both together, which stands on the item of the tarball; without it
the image does not exist for its readers, and they say nothing. So the hashes are made anew each time for all roots of a
version. LXD asks for a tarball under one type and Incus under another: two items lead to one file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.streams.format.documents import Item, Products
from headwater.streams.format.layout import FILES_CONTENT_ID
from headwater.streams.trees.tree import Tree
from headwater.streams.writing import image_metadata
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.files import Content, path_by_content, pieces_of, stored
from headwater.streams.writing.image_ids import arch_of
from headwater.streams.writing.merging import Place, with_item

CONTENT_ID: Final = FILES_CONTENT_ID
DATATYPE: Final = "image-downloads"
METADATA_TYPES: Final = ("lxd.tar.xz", "incus.tar.xz")
UNIFIED_TYPES: Final = ("lxd_combined.tar.gz", "incus_combined.tar.gz")
METADATA_LIMIT: Final = 64 << 20  # bytes
DIRECTORY: Final = "images"

# Source: where Incus and LXD look for the fingerprint of each type of root.
_COMBINED = {
    "squashfs": "combined_squashfs_sha256",
    "root.tar.xz": "combined_rootxz_sha256",
    "disk-kvm.img": "combined_disk-kvm-img_sha256",
    "disk1.img": "combined_disk1-img_sha256",
    "uefi1.img": "combined_uefi1-img_sha256",
}
_WHOLE = "combined_sha256"  # readers of old take it for root.tar.xz
ROOT_TYPES: Final = tuple(_COMBINED)
ITEM_NAMES: Final = {"squashfs": "root.squashfs", "root.tar.xz": "root.tar.xz", "disk-kvm.img": "disk.qcow2"}
_DELTAS = ("squashfs", "disk-kvm.img")  # of which readers know deltas
_BEGINNINGS = {b"hsqs": "squashfs", b"QFI\xfb": "disk-kvm.img", b"\xfd7zXZ": "root.tar.xz"}
MAGIC: Final = 8  # bytes from which the type of a root is told
_GZIP, _VCDIFF = b"\x1f\x8b", b"\xd6\xc3\xc4"

# Others are passed over by both, without a word.
_ARCHES = frozenset(
    {"amd64", "i386", "armel", "armhf", "arm64", "powerpc", "ppc64el", "s390x", "riscv64", "mips", "mips64"}
)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_ALIAS = re.compile(r"[^\s,/][^\s,]{0,127}")
_VERSION = re.compile(r"\d{8}([._]?[0-9][0-9:._]*)?")


class BadImageFile(Invalid):
    """What was given makes no image that a reader could find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDescription:
    """What readers are told of an image; one of a product that is there already keeps what is not said."""

    os: str
    release: str
    arch: str = "amd64"
    variant: str = "default"
    aliases: tuple[str, ...] | None = None
    release_title: str | None = None
    version: str | None = None  # of the operating system, such as 24.04
    support_eol: str | None = None  # YYYY-MM-DD: from then on the image counts as expired
    requirements: Mapping[str, str] = field(default_factory=dict)  # such as secureboot: false
    properties: Mapping[str, str] = field(default_factory=dict)  # more of what the metadata says of the image

    def __post_init__(self) -> None:
        if not self.os.strip() or not self.release:
            raise BadImageFile("name the operating system (os) and its release")
        for name in ("release", "variant"):
            if not _WORD.fullmatch(getattr(self, name)):
                raise BadImageFile(f"{name}: {getattr(self, name)!r} is no word such as noble or default")
        if not _WORD.fullmatch(self._os_word):
            raise BadImageFile(f"os: {self.os!r} is no name such as Ubuntu")
        if arch_of(self.arch) not in _ARCHES:
            raise BadImageFile(f"arch: LXD and Incus know {', '.join(sorted(_ARCHES))}, and pass over {self.arch!r}")
        for alias in self.aliases or ():
            if not _ALIAS.fullmatch(alias):
                raise BadImageFile(f"alias: {alias!r} cannot be found; an alias has no blank and no comma")
        if self.support_eol is not None and not _is_day(self.support_eol, "%Y-%m-%d"):
            raise BadImageFile(f"support_eol: {self.support_eol!r} is no date such as 2029-05-31")

    @property
    def product(self) -> str:
        return f"{self._os_word}:{self.release}:{arch_of(self.arch)}:{self.variant}"

    @property
    def facts(self) -> dict[str, Any]:
        """What is said of the product, always on the product: these readers do not look elsewhere."""
        said = {
            "os": self.os,
            "release": self.release,
            "arch": arch_of(self.arch),
            "variant": self.variant,
            "release_title": self.release_title,
            "version": self.version,
            "support_eol": self.support_eol,
            "aliases": ",".join(self.aliases) if self.aliases else None,
            "requirements": dict(self.requirements) or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    @property
    def first_facts(self) -> dict[str, str]:
        """What is said of a product that is new, unless it is given."""
        names = [f"{self._os_word}/{self.release}/{self.variant}"]
        if self.variant == "default":
            names.insert(0, f"{self._os_word}/{self.release}")
        return {"aliases": ",".join(names), "release_title": self.release}

    @property
    def _os_word(self) -> str:
        return self.os.strip().lower().replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A disk or a root file system; or with ``base`` what makes it of that of another version."""

    content: Content
    ftype: str
    base: str | None = None  # name of a version


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What was put into a feed."""

    product: str
    version: str
    items: tuple[str, ...]
    fingerprints: Mapping[str, str]  # by type of root


def ftype_of(content: Content) -> str | None:
    """Return the type of a root, of a tarball of everything, or ``vcdiff``, by its first bytes."""
    if (ftype := root_type_of(content.beginning)) is not None:
        return ftype
    if content.beginning.startswith(_VCDIFF):
        return "vcdiff"
    return UNIFIED_TYPES[0] if content.beginning.startswith(_GZIP) else None


def root_type_of(beginning: bytes) -> str | None:
    """Return the type of a root alone by its first bytes; ``None`` for anything else."""
    return next((ftype for magic, ftype in _BEGINNINGS.items() if beginning.startswith(magic)), None)


def add(
    feed: Feed,
    image: ImageDescription,
    roots: Sequence[Root],
    *,
    metadata: Content | None = None,
    version: str | None = None,
    content_id: str = CONTENT_ID,
    clock: Clock = now,
) -> Added:
    """Put roots into a version of an image, beside those that it has; the files come into the tree at once.

    Args:
        metadata: The tarball. Default: that of the version, or else one is made.
        version: Its name, which begins with a date and sorts as text. Default: the present minute, in UTC.

    Raises:
        BadImageFile: No reader would see it.
        FileUnusable: The tarball is no metadata of this image.
    """
    if not roots and metadata is None:
        raise BadImageFile("there is nothing to add: name a disk or a root file system")
    at = version or datetime.fromtimestamp(clock() // 1_000_000, UTC).strftime("%Y%m%d_%H%M")
    if not _VERSION.fullmatch(at) or not _is_day(at[:8], "%Y%m%d"):
        raise BadImageFile(f"version {at!r}: LXD and Incus take names that begin with a date, such as 20260101_0000")
    products = feed.products(content_id) or Products(products={}, content_id=content_id, datatype=DATATYPE)
    product = products.products.get(image.product)
    facts = image.facts if product else image.first_facts | image.facts
    there = product.versions.get(at) if product else None
    kinds = [(root.ftype, root.base) for root in roots]
    if len(set(kinds)) != len(kinds):
        raise BadImageFile("two files of one type cannot stand in one version; add them to versions of their own")
    items: dict[str, Item] = {}
    for root in roots:
        items |= _items_of(feed, products, image, root)
    whole = [root for root in roots if root.base is None and root.ftype not in UNIFIED_TYPES]
    fingerprints: Mapping[str, str] = {}
    if whole or metadata is not None:
        every = {**(there.items if there else {}), **items}
        about, body = _metadata(feed, image, at, every, metadata)
        combined, fingerprints = _combined(feed.tree, body, every, {root.ftype: root.content for root in whole})
        kept = {name: value for name, value in about.extra.items() if name not in {_WHOLE, *_COMBINED.values()}}
        about = replace(about, extra={**kept, **combined})
        items |= {ftype: replace(about, ftype=ftype) for ftype in METADATA_TYPES}
    for name, item in items.items():
        products = with_item(products, Place(image.product, at, name), item, product=facts)
    feed.put(content_id, products)
    return Added(product=image.product, version=at, items=tuple(items), fingerprints=fingerprints)


def add_other(
    feed: Feed, content: Content, place: Place, ftype: str, *, content_id: str, facts: Mapping[str, str]
) -> Added:
    """Put a file of a kind that is not judged here at a place of its own, with what is said of its product.

    Raises:
        BadImageFile: A name of the place is none that readers sort or find.
    """
    for name in (place.version, place.item, ftype):
        if not _WORD.fullmatch(name):
            raise BadImageFile(f"{name!r} is no word such as 20260101 or disk.img")
    if not place.product.strip():
        raise BadImageFile("name the product")
    products = feed.products(content_id) or Products(products={}, content_id=content_id, datatype=DATATYPE)
    item = _stored(feed, content, ftype, place.item)
    feed.put(content_id, with_item(products, place, item, product=facts))
    return Added(product=place.product, version=place.version, items=(place.item,), fingerprints={})


def _items_of(feed: Feed, products: Products, image: ImageDescription, root: Root) -> dict[str, Item]:
    """Bring a root into the tree, and return the items that lead to it."""
    if root.ftype in UNIFIED_TYPES:
        image_metadata.require_metadata(root.content, arch_of(image.arch))
        item = _stored(feed, root.content, root.ftype, "image.tar.gz")
        if image_metadata.is_of_virtual_machine(root.content):
            item = replace(item, extra={"combined_type": "virtual-machine"})
        return {ftype: replace(item, ftype=ftype) for ftype in UNIFIED_TYPES}
    if root.ftype not in _COMBINED:
        raise BadImageFile(f"{root.content.name}: {root.ftype!r} is no type of a root; it is {', '.join(_COMBINED)}")
    name = ITEM_NAMES.get(root.ftype, root.ftype)
    if root.base is None:
        return {name: _stored(feed, root.content, root.ftype, name)}
    base_of(products, image.product, root.base, root.ftype)
    name = f"{name.partition('.')[0]}.{root.base}{'' if root.ftype == 'squashfs' else '.qcow2'}.vcdiff"
    item = _stored(feed, root.content, f"{root.ftype}.vcdiff", name.replace(":", "-"))
    return {name: replace(item, extra={"delta_base": root.base})}


def base_of(products: Products | None, product: str, version: str, ftype: str) -> Item:
    """Return the root that a delta begins with.

    Raises:
        BadImageFile: There is none, so that no reader could use the delta.
    """
    if ftype not in _DELTAS:
        raise BadImageFile(f"readers know deltas of {' and '.join(_DELTAS)}, not of {ftype}")
    known = products.products.get(product) if products else None
    there = known.versions.get(version) if known else None
    for item in there.items.values() if there else ():
        if item.ftype == ftype:
            return item
    raise BadImageFile(f"{product} has no version {version!r} with a {ftype}, which a delta of it needs")


def _metadata(
    feed: Feed, image: ImageDescription, at: str, items: Mapping[str, Item], given: Content | None
) -> tuple[Item, bytes]:
    """Return the item of a version's metadata, and what the tarball holds."""
    if given is not None:
        image_metadata.require_metadata(given, arch_of(image.arch))
        return _stored(feed, given, METADATA_TYPES[0], given.name), b"".join(given.pieces())
    for item in items.values():
        if item.ftype in METADATA_TYPES and item.path is not None:
            return item, feed.tree.read(item.path, METADATA_LIMIT).body
    made = image_metadata.made(arch_of(image.arch), _seconds(at), properties_of(image, at))
    return _stored(feed, made, METADATA_TYPES[0], made.name), made.body


def _combined(
    tree: Tree, metadata: bytes, items: Mapping[str, Item], given: Mapping[str, Content]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the items of the metadata say of each root of a version, and the same by type of root.

    Args:
        given: Roots that are on this machine, by type; the others are read from the tree.
    """
    fingerprints: dict[str, str] = {}
    for item in items.values():
        if item.ftype in _COMBINED and item.path is not None:
            content = given.get(item.ftype)
            pieces = content.pieces() if content else pieces_of(tree, item.path)
            fingerprints[item.ftype] = _hash(metadata, pieces)
    return told_of(fingerprints), fingerprints


def told_of(fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return what the items of the metadata say of roots, by the type of each."""
    told = {_COMBINED[ftype]: fingerprint for ftype, fingerprint in fingerprints.items()}
    if "root.tar.xz" in fingerprints:
        told[_WHOLE] = fingerprints["root.tar.xz"]
    return told


def _stored(feed: Feed, content: Content, ftype: str, name: str) -> Item:
    path = path_by_content(DIRECTORY, content, name)
    stored(feed.tree, content, path)
    return Item(ftype=ftype, path=path, size=content.size, sha256=content.sha256)


def properties_of(image: ImageDescription, at: str) -> dict[str, str]:
    """Return what the metadata of a version says of an image."""
    arch = arch_of(image.arch)
    said = {
        "os": image.os,
        "release": image.release,
        "architecture": arch,
        "variant": image.variant,
        "serial": at,
        "name": f"{image.product.replace(':', '-')}-{at}",
        "description": f"{image.os} {image.release_title or image.release} {arch} ({at})",
    }
    if image.version is not None:
        said["version"] = image.version
    return {**said, **image.properties}


def _hash(metadata: bytes, pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256(metadata)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _seconds(version: str) -> int:
    """Return when an image was made: its version says so, so that the same image is made of the same files."""
    clock = re.match(r"\d{8}_?(\d\d):?(\d\d)(?!\d)", version)
    at = datetime.strptime(version[:8], "%Y%m%d").replace(tzinfo=UTC)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:  # of an hour
        at = at.replace(hour=int(clock[1]), minute=int(clock[2]))
    return int(at.timestamp())


def _is_day(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
