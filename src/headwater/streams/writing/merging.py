"""One item more, or less, in a products document; everything else stays as it stands, in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from headwater.streams.format.documents import Item, Product, Products, Version

Level = TypeVar("Level", Product, Version)

_CONTAINERS = frozenset({"versions", "items", "extra", "order"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands."""

    product: str
    version: str
    item: str


def with_item(
    products: Products,
    place: Place,
    item: Item,
    *,
    product: Mapping[str, Any] | None = None,
    version: Mapping[str, Any] | None = None,
) -> Products:
    """Return ``products`` with ``item`` at ``place``, in place of what is there.

    Args:
        product: What is said of the product; keys that are not named stay as they are.
        version: What is said of the version.
    """
    now = products.products.get(place.product) or Product(versions={})
    now = _with_facts(now, product or {})
    there = now.versions.get(place.version) or Version(items={})
    there = _with_facts(there, version or {})
    there = replace(there, items={**there.items, place.item: item})
    now = replace(now, versions={**now.versions, place.version: there})
    return replace(products, products={**products.products, place.product: now})


def without(products: Products, leaves: Callable[[Place, Item], bool]) -> Products:
    """Return ``products`` without the items of which ``leaves`` is true; what loses its last item goes too."""
    kept: dict[str, Product] = {}
    for name, product in products.products.items():
        versions = {}
        for at, version in product.versions.items():
            items = {key: item for key, item in version.items.items() if not leaves(Place(name, at, key), item)}
            if items or not version.items:
                versions[at] = version if len(items) == len(version.items) else replace(version, items=items)
        if versions or not product.versions:
            kept[name] = product if versions == product.versions else replace(product, versions=versions)
    return replace(products, products=kept)


def versions_beyond(product: Product, newest: int) -> list[str]:
    """Return the names of all versions but the ``newest`` ones, as readers sort them; the newest one always stays."""
    return sorted(product.versions, reverse=True)[max(1, newest) :]


def _with_facts(level: Level, facts: Mapping[str, Any]) -> Level:
    known = {field.name for field in fields(level)} - _CONTAINERS
    typed = {name: value for name, value in facts.items() if name in known}
    extra = {name: value for name, value in facts.items() if name not in known and value is not None}
    return replace(level, **typed, extra={**level.extra, **extra})
