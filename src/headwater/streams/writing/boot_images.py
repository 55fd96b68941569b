"""Files that MAAS boots and installs machines from.

MAAS takes a products file as a whole or not at all, and each file must hold products of one kind: those with a kernel,
or those with a tarball of a root file system. So the kinds have content ids of their own, and all that is said of a
product stands on the product. Every product has a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.streams.format.documents import Item, Products
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.files import Content, path_by_content, stored
from headwater.streams.writing.image_files import Added
from headwater.streams.writing.image_ids import arch_of
from headwater.streams.writing.merging import Place, with_item

# Source: MAAS's own feeds; it takes `image-downloads` too, but then LXD and Incus read the file in vain.
DATATYPE: Final = "image-ids"
DIRECTORY: Final = "boot"
KERNEL_TYPES: Final = ("boot-kernel", "boot-initrd", "manifest")
ROOT_TYPES: Final = ("squashfs", "root-image.gz")
FILE_TYPES: Final = (*KERNEL_TYPES, *ROOT_TYPES, "root-tgz")

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_VERSION = re.compile(r"\d{8}(\.\d+)?")


class BadBootImage(Invalid):
    """What was given makes no image that MAAS takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDescription:
    """What MAAS is told of an image."""

    os: str
    release: str  # such as noble
    version: str  # such as 24.04
    arch: str = "amd64"
    label: str = "stable"
    subarch: str = "generic"  # for a kernel such as ga-24.04
    subarches: tuple[str, ...] = ()
    release_title: str | None = None
    extra: tuple[tuple[str, str], ...] = ()  # more of the product, such as kflavor, krel, support_eol

    def __post_init__(self) -> None:
        for name in ("os", "release", "version", "arch", "label", "subarch"):
            if not _WORD.fullmatch(getattr(self, name)):
                raise BadBootImage(f"{name}: {getattr(self, name)!r} is no word such as ubuntu, noble or 24.04")
        for each in self.subarches:
            if not _WORD.fullmatch(each):
                raise BadBootImage(f"subarches: {each!r} is no word such as ga-24.04")

    def product(self, *, has_kernel: bool) -> str:
        if has_kernel:
            return f"com.ubuntu.maas.{self.label}:v3:boot:{self.version}:{arch_of(self.arch)}:{self.subarch}"
        return f"com.ubuntu.maas.{self.label}:{self.os}-bases:{self.version}:{arch_of(self.arch)}"

    def content_id(self, *, has_kernel: bool) -> str:
        kind = "v3:download" if has_kernel else "1:bases-download"
        return f"com.ubuntu.maas:{self.label}:{kind}"

    @property
    def facts(self) -> dict[str, str]:
        subarches = dict.fromkeys([*self.subarches, self.subarch, "generic"])
        return {
            "arch": arch_of(self.arch),
            "label": self.label,
            "os": self.os,
            "release": self.release,
            "release_title": self.release_title or self.version,
            "subarch": self.subarch,
            "subarches": ",".join(subarches),
            "version": self.version,
            **dict(self.extra),
        }


def add(
    feed: Feed,
    image: BootDescription,
    files: Mapping[str, Content],
    *,
    kernel_package: str | None = None,
    version: str | None = None,
    clock: Clock = now,
) -> Added:
    """Put the files of one version of an image into a feed; with those that it has already they must be whole.

    Args:
        files: By type, one of ``FILE_TYPES``.
        kernel_package: Of the distribution, which MAAS installs with the image.
        version: Its name. Default: today's date, in UTC.

    Raises:
        BadBootImage: MAAS would refuse it, and all other products of its file with it.
    """
    at = version or datetime.fromtimestamp(clock() // 1_000_000, UTC).strftime("%Y%m%d")
    if not _VERSION.fullmatch(at):
        raise BadBootImage(f"version {at!r}: it is a date, such as 20260101 or 20260101.1")
    has_kernel = "root-tgz" not in files
    content_id, product = image.content_id(has_kernel=has_kernel), image.product(has_kernel=has_kernel)
    products = feed.products(content_id) or Products(products={}, content_id=content_id, datatype=DATATYPE)
    known = products.products.get(product)
    there = known.versions.get(at) if known else None
    _require_whole({*files, *(item.ftype or "" for item in (there.items.values() if there else ()))})
    for ftype, content in files.items():
        path = path_by_content(DIRECTORY, content, ftype)
        stored(feed.tree, content, path)
        extra = {"kpackage": kernel_package} if kernel_package and ftype == "boot-kernel" else {}
        item = Item(ftype=ftype, path=path, size=content.size, sha256=content.sha256, extra=extra)
        products = with_item(products, Place(product, at, ftype), item, product=image.facts)
    feed.put(content_id, products)
    return Added(product=product, version=at, items=tuple(files), fingerprints={})


def _require_whole(types: set[str]) -> None:
    if unknown := types - set(FILE_TYPES):
        raise BadBootImage(f"{', '.join(sorted(unknown))}: MAAS takes {', '.join(FILE_TYPES)}")
    if "root-tgz" in types:
        if types & {*ROOT_TYPES, "boot-kernel", "boot-initrd"}:
            raise BadBootImage("an image is either a root-tgz, or a kernel with a squashfs; add them one by one")
        missing = {"manifest"} - types
    else:
        missing = set(KERNEL_TYPES) - types
        if not types & set(ROOT_TYPES):
            missing.add("squashfs")
    if missing:
        raise BadBootImage(f"MAAS refuses a products file in which an image has no {', '.join(sorted(missing))}")
