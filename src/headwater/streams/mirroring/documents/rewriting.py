"""Documents with less in them: what was not chosen and what did not come is left out, in the order of the source.

Inheritance and aliases stay as they are, for readers that know of them. What old versions the target had may stay with
the new ones, as long as their files are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.streams.format.documents import INDEX_FORMAT
from headwater.streams.mirroring.documents.choosing import Chosen, Version
from headwater.streams.mirroring.names import unsigned_name


@dataclass(frozen=True, slots=True)
class Old:
    """What the target has of a products document, as far as it is wanted and its files are there."""

    products: Mapping[str, Any] = field(default_factory=dict)  # whole, by name
    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # the good ones, by product


def products(
    document: Mapping[str, Any], chosen: Chosen, left_out: Collection[Version], old: Old, keep: int | None
) -> dict[str, Any]:
    """Return a products document with what is chosen of it.

    Args:
        left_out: Versions whose files did not come.
        keep: A version that the source does not have any more stays while it is among the newest ``keep`` of its
            product. The newest good one of a product stays if there would be none.
    """
    names = document["products"]
    kept: dict[str, Any] = {}
    for name in [*names, *(name for name in old.versions if keep and name not in names)]:
        product = names[name] if name in names else old.products[name]
        there = names[name].get("versions") or {} if name in names else {}
        versions = {
            at: version
            for at, found in there.items()
            if (name, at) not in left_out and (version := chosen_of(found, name, at, chosen)) is not None
        }
        versions |= _staying(versions, old.versions.get(name, {}), keep)
        if versions or (chosen.items is None and not there):
            kept[name] = product if versions == there else {**product, "versions": versions}
    if kept == names:
        return dict(document)
    aliases = document.get("_aliases")
    left = {**document, "products": kept}
    return left if aliases is None or chosen.items is None else {**left, "_aliases": _used(aliases, left)}


def _used(aliases: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the aliases that objects of a document, or aliases of these, hold."""
    used: dict[str, dict[str, Any]] = {key: {} for key in aliases}
    waiting: list[Mapping[str, Any]] = list(_objects(document))
    while waiting:
        each = waiting.pop()
        for key, table in aliases.items():
            value = each.get(key)
            if value.__class__ is str and value in table and value not in used[key]:
                used[key][value] = table[value]
                waiting.append(table[value])
    return {key: {value: table[value] for value in table if value in used[key]} for key, table in aliases.items()}


def _objects(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield document
    for product in document["products"].values():
        yield product
        for version in (product.get("versions") or {}).values():
            yield version
            yield from (version.get("items") or {}).values()


def chosen_of(version: Mapping[str, Any], product: str, name: str, chosen: Chosen) -> Mapping[str, Any] | None:
    """Return what is chosen of a version; ``None``: nothing."""
    if chosen.items is None:
        return version
    wanted = chosen.items.get(product, {}).get(name)
    if wanted is None:
        return None
    items = {item: found for item, found in version["items"].items() if item in wanted}
    return version if len(items) == len(version["items"]) else {**version, "items": items}


def _staying(versions: Collection[str], old: Mapping[str, Any], keep: int | None) -> dict[str, Any]:
    spare = sorted(set(old) - set(versions), reverse=True)
    newest = sorted([*versions, *spare], reverse=True)[: keep or 0]
    staying = [name for name in spare if name in newest]
    return {name: old[name] for name in staying or ([] if versions else spare[:1])}


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes of a document that an index names."""

    products: tuple[str, ...] | None = None  # their names; None: as the index says it
    regions: Collection[str] | None = None  # those that are left; None: all


def index(document: Mapping[str, Any], entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return an index that names what there is, by the names of unsigned documents.

    Args:
        entries: By the path of the unsigned form; what is not in it is named no more. A nested index is in it too.
    """
    kept = {}
    for content_id, entry in document["index"].items():
        path = unsigned_name(entry["path"])
        if path in entries:
            kept[content_id] = _entry({**entry, "path": path}, entries[path])
    return {**document, "index": kept}


def _entry(entry: dict[str, Any], found: Entry) -> dict[str, Any]:
    if entry.get("format") == INDEX_FORMAT:
        return entry
    if found.products is not None and set(entry.get("products") or ()) != set(found.products):
        entry["products"] = list(found.products)
    clouds = entry.get("clouds")
    if found.regions is not None and isinstance(clouds, list):
        entry["clouds"] = [each for each in clouds if each.get("region") in found.regions]
    return entry
