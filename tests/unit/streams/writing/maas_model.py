"""What MAAS's boot sources want of a feed, written down once more from what is known of MAAS, without our code.

A feed is taken as a whole or not at all: what is returned is why not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Read = Callable[[str], Any]  # the JSON document at a path; raises KeyError

OF_IMAGES = ("arch", "label", "os", "release", "release_title", "subarch", "subarches", "version")
OF_LOADERS = ("arch", "arches", "bootloader-type", "label", "os")
OF_PACKAGES = ("src_package", "src_release", "src_version")
LOADERS = ("grub2-signed", "shim-signed", "grub2", "syslinux")
DAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2}"
RFC_2822 = re.compile(DAY + r" [+-]\d{4}")
ISO_8601 = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
UBUNTU = re.compile(r".*:(v2|v3|v3\+platform):.*")


def refusals(read: Read, start: str = "streams/v1/index.json") -> list[str]:
    """Return why MAAS refuses the feed; nothing: it takes all of it."""
    return list(_of_index(read, read(start)))


def images(read: Read, start: str = "streams/v1/index.json") -> dict[str, set[str]]:
    """Return what MAAS imports of each product: the types of the files of its newest version."""
    found = {}
    for entry in read(start)["index"].values():
        for name, product in read(entry["path"])["products"].items():
            newest = product["versions"][max(product["versions"])]
            found[name] = {item["ftype"] for item in newest["items"].values()}
    return found


def _of_index(read: Read, index: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_time(index, "index")
    for name, entry in index["index"].items():
        yield from _of_time(entry, name)
        if entry.get("datatype", "image-ids") not in ("image-ids", "image-downloads"):
            yield f"{name}: datatype {entry['datatype']}"
        if not isinstance(entry.get("products"), list):
            yield f"{name}: products"
        try:
            document = read(entry["path"])
        except KeyError:
            yield f"{name}: path"
        else:
            yield from _of_products(name, document)


def _of_time(owner: Mapping[str, Any], where: str) -> Iterator[str]:
    updated = owner.get("updated")
    if not isinstance(updated, str) or not (RFC_2822.fullmatch(updated) or ISO_8601.fullmatch(updated)):
        yield f"{where}: updated {updated}"


def _of_products(name: str, document: Mapping[str, Any]) -> Iterator[str]:
    """A file is of one of three shapes, which no product in it leaves."""
    shapes = {
        "bootloaders": list(_against(document, OF_LOADERS, _loaders)),
        "several files": list(_against(document, OF_IMAGES, _kernel)),
        "one file": list(_against(document, OF_IMAGES, _tarball)),
    }
    if all(shapes.values()):
        fewest = min(shapes, key=lambda shape: len(shapes[shape]))
        yield from (f"{name}: as {fewest}: {problem}" for problem in shapes[fewest])


def _against(
    document: Mapping[str, Any], keys: tuple[str, ...], kind: Callable[[Mapping[str, Any]], Iterator[str]]
) -> Iterator[str]:
    for name, product in document["products"].items():
        yield from (f"{name}.{key}" for key in keys if not isinstance(product.get(key), str))
        if keys is OF_IMAGES and product.get("os") == "ubuntu" and ":boot:" in name and not UBUNTU.fullmatch(name):
            yield f"{name}: its name"
        for version, each in product["versions"].items():
            yield from (f"{name} {version}: {problem}" for problem in kind(each["items"]))
            yield from (f"{name} {version}: {problem}" for problem in _of_items(each["items"]))


def _of_items(items: Mapping[str, Any]) -> Iterator[str]:
    for name, item in items.items():
        for key in ("ftype", "path", "sha256"):
            if not isinstance(item.get(key), str):
                yield f"{name}.{key}"
        size = item.get("size")
        if isinstance(size, bool) or not (isinstance(size, int) or (isinstance(size, str) and size.isdecimal())):
            yield f"{name}.size"


def _loaders(items: Mapping[str, Any]) -> Iterator[str]:
    if not set(LOADERS) & set(items):
        yield "no loader"
    for name in set(LOADERS) & set(items):
        yield from (f"{name}.{key}" for key in OF_PACKAGES if not isinstance(items[name].get(key), str))


def _kernel(items: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"no {each}" for each in ("boot-initrd", "boot-kernel", "manifest") if each not in items)
    if not {"squashfs", "root-image.gz"} & set(items):
        yield "no squashfs"


def _tarball(items: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"no {each}" for each in ("manifest", "root-tgz") if each not in items)
