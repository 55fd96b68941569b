"""The items of a feed that become images, and what each one is to be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.errors import HeadwaterError
from headwater.streams.query.filters import parse_filters
from headwater.streams.query.flattening import ITEM_NAME, PRODUCT_NAME, VERSION_NAME, Row

DATATYPE: Final = "image-downloads"
# As sstream-mirror-glance asks when nobody says otherwise.
DEFAULT_FILTERS: Final = ("ftype~(disk1.img|disk.img)", "arch~(x86_64|amd64|i386)")
HASHES: Final = ("sha512", "sha256", "md5")  # the strongest first
_DIGITS: Final = {"sha512": 128, "sha256": 64, "md5": 32}
_HEX: Final = re.compile(r"[0-9a-f]+")


class ItemUnusable(HeadwaterError):
    """An item of the feed cannot become an image."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name, self.problem = name, problem


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where an image is from: no two images of one sync have the same."""

    source_content_id: str
    product: str
    version: str
    item: str

    def __str__(self) -> str:
        return f"{self.product} {self.version} {self.item}"

    @property
    def family(self) -> tuple[str, str]:
        """What versions of one product have in common."""
        return self.source_content_id, self.product


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a feed."""

    key: Key
    row: Row = field(repr=False)  # all that the feed says of it, flattened
    path: str
    size: int  # bytes
    hashes: Mapping[str, str]  # hex, by hashlib's name; all of them are verified

    @classmethod
    def of(cls, row: Row) -> Item:
        """Read a row of the feed that names a file.

        Raises:
            ItemUnusable: There is nothing by which the file could be verified.
        """
        key = Key(row.get("content_id", ""), row[PRODUCT_NAME], row[VERSION_NAME], row[ITEM_NAME])
        size = row.get("size", "")
        if not (size.isascii() and size.isdecimal()) or len(size) > 18:
            raise ItemUnusable(str(key), "the feed does not say its size")
        hashes = {name: row[name].lower() for name in HASHES if row.get(name)}
        for name, value in hashes.items():
            if len(value) != _DIGITS[name] or not _HEX.fullmatch(value):
                raise ItemUnusable(str(key), f"its {name} is none")
        if not hashes:
            raise ItemUnusable(str(key), "the feed has no hash of it: nothing proves that what comes is right")
        return cls(key, row, row["path"], int(size), hashes)

    @property
    def ftype(self) -> str:
        return self.row.get("ftype", "")

    @property
    def disk_format(self) -> str:
        """What the file is. Source: sstream-mirror-glance; what it does not know is qcow2 to it."""
        if self.ftype in ("root.tar.gz", "root.tar.xz", "root.tar.bz2") or self.ftype.startswith("root.tar."):
            return "root-tar"
        return {"squashfs": "squashfs", "root.squashfs": "squashfs"}.get(self.ftype) or _BY_ENDING.get(
            self.ftype.rpartition(".")[2], "qcow2"
        )

    @property
    def is_container(self) -> bool:
        """Whether it holds a root file system, and no disk."""
        return self.disk_format in ("root-tar", "squashfs")


_BY_ENDING: Final = {"vmdk": "vmdk", "vhd": "vhd", "vhdx": "vhdx", "vdi": "vdi", "iso": "iso"}


@dataclass(frozen=True, slots=True)
class Offered:
    """What feeds have for a sync."""

    items: tuple[Item, ...]
    problems: tuple[ItemUnusable, ...]


def filters_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return the filters that are meant: what nobody spoke of is as ``sstream-mirror-glance`` has it."""
    given = tuple(given)
    if not given:
        return DEFAULT_FILTERS
    keys = {each.key for each in parse_filters(given)}
    return given if keys & {"ftype", ITEM_NAME} else (*given, DEFAULT_FILTERS[0])


def offered(rows: Iterable[Row]) -> Offered:
    """Return the items of rows: each once, and no squashfs beside a root tarball of the same version."""
    items: dict[Key, Item] = {}
    problems: list[ItemUnusable] = []
    for row in rows:
        # Real feeds have entries of images without a file, which no client takes for one.
        if row.get("datatype", DATATYPE) != DATATYPE or "path" not in row:
            continue
        try:
            item = Item.of(row)
        except ItemUnusable as problem:
            problems.append(problem)
        else:
            items.setdefault(item.key, item)
    return Offered(tuple(_without_twins(items)), tuple(problems))


def _without_twins(items: Mapping[Key, Item]) -> Iterator[Item]:
    tarballs = {_version(key) for key, item in items.items() if item.disk_format == "root-tar"}
    for key, item in items.items():
        if item.disk_format != "squashfs" or _version(key) not in tarballs:
            yield item


def _version(key: Key) -> tuple[str, str, str]:
    return key.source_content_id, key.product, key.version


def key_of(image: Mapping[str, Any]) -> Key | None:
    """Return where an image is from, as its properties tell; ``None``: from no feed."""
    values = [image.get(name) for name in KEYS]
    return Key(*values) if all(isinstance(each, str) for each in values) else None  # type: ignore[arg-type]  # seen


KEYS: Final = ("source_content_id", "product_name", "version_name", "item_name")
