"""Images: which items of a feed are taken, and which of them a new machine gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headwater.streams.lookup.documents import Placed, ProductsFile
from headwater.streams.lookup.source import Pick
from headwater.streams.lookup.trace import Kind, Trace
from headwater.streams.lookup.wanted import ImagesWanted

_IDENTITY = ("virt", "arch", "version", "region", "root_store")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """An image, and where it was found."""

    id: str
    region: str
    version: str
    arch: str
    endpoint: str = ""
    virt: str = ""
    root_store: str = ""
    root_store_size: int = 0  # MiB; only of records, and not looked for
    stream: str = ""
    source: str = ""  # description of the source
    priority: int = 0
    products_url: str = ""
    signed: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """What a controller tells its records apart by, besides their source."""
        return self.stream, self.region, self.version, self.arch, self.virt, self.root_store

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def picking(wanted: ImagesWanted) -> Pick:
    """Return what takes images of the wanted products: the newest of each kind in the region, ids ascending."""

    def pick(file: ProductsFile, trace: Trace) -> Sequence[Placed]:
        taken: list[Placed] = []
        for product in wanted.products():
            if product in file:
                taken += _of_product(file, product, wanted.cloud.region, trace)
        return sorted(taken, key=lambda item: item["id"].encode())

    return pick


def _of_product(file: ProductsFile, product: str, region: str, trace: Trace) -> list[Placed]:
    taken: list[Placed] = []
    seen: dict[tuple[str, ...], str] = {}
    others: list[Placed] = []
    older: list[Placed] = []
    for version in file.versions(product):
        items = list(file.items(product, version))
        here = [item for item in items if region in ("", item["region"])]
        others += [item for item in items if region not in ("", item["region"])]
        new = [item for item in here if _identity(item) not in seen]
        older += [item for item in here if _identity(item) in seen]
        for item in new:
            trace.add(Kind.TAKEN, item["id"], f"{product}, version {version}, item {item.key}")
        seen |= {_identity(item): version for item in new}
        taken += new
    if older:
        first, more = older[0], f", and {len(older) - 1} more like it" if len(older) > 1 else ""
        why = f"{product}: version {seen[_identity(first)]} is newer than {first.version}{more}"
        trace.add(Kind.PASSED_OVER, first["id"], why)
    if others:
        trace.add(Kind.PASSED_OVER, product, _other_regions([item["region"] for item in others], region))
    return taken


def _other_regions(others: list[str], region: str) -> str:
    nearly = next((each for each in others if each.lower().replace(" ", "") == region.lower().replace(" ", "")), None)
    if nearly is not None:
        return f"the region of an item is compared exactly, and {nearly!r} is not {region!r}"
    names = sorted(set(others))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(others)} items are of other regions: {', '.join(each or '(none)' for each in names[:5])}{more}"


def _identity(item: Placed) -> tuple[str, ...]:
    return tuple(item[name] for name in _IDENTITY)


def duplicates(images: Sequence[FoundImage]) -> list[list[FoundImage]]:
    """Return the images that a controller cannot tell apart, in groups."""
    groups: dict[tuple[str, ...], list[FoundImage]] = {}
    for image in images:
        groups.setdefault((*image.identity, image.source), []).append(image)
    return [group for group in groups.values() if len(group) > 1]


def duplicate_of(group: Sequence[FoundImage]) -> str:
    """Say in Juju's words that images cannot be told apart."""
    first, second, *_ = group
    key = ":".join((*first.identity, first.source))
    return f'duplicate metadata record for image id {second.id} (key="{key}")'


def choose(images: Sequence[FoundImage], arch: str, virt: str = "") -> FoundImage | None:
    """Return the image of a machine: the first of the kind of guest that is asked for, or else one that names none."""
    fitting = [image for image in images if image.arch == arch]
    exact = [image for image in fitting if not virt or image.virt == virt]
    return next(iter([*exact, *(image for image in fitting if not image.virt)]), None)
