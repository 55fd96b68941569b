"""What is wanted of a products document, and the files that this names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.streams.format.json_objects import as_object
from headwater.streams.mirroring.files.file import File
from headwater.streams.mirroring.names import require_file
from headwater.streams.query.filters import Filter
from headwater.streams.query.flattening import ITEM_NAME, PRODUCT_NAME, VERSION_NAME, Flattened, Row

DISPUTED = "items disagree about its size or its hash"

Version = tuple[str, str]  # the names of a product and of a version of it


@dataclass(slots=True)
class Chosen:
    """What is wanted of one products document."""

    items: dict[str, dict[str, set[str]]] | None = None  # names, by product and version; None: all
    files: dict[str, File] = field(default_factory=dict)  # by ``File.key``
    users: dict[str, set[Version]] = field(default_factory=dict)  # whose file it is, by the same
    disputed: dict[str, str] = field(default_factory=dict)  # of files that items disagree about: the problem
    regions: set[str] = field(default_factory=set)  # for which there are items

    @property
    def is_empty(self) -> bool:
        """Whether nothing passed the filters."""
        return self.items is not None and not self.items


def choose(
    document: dict[str, Any],
    place: str,
    filters: Sequence[Filter] = (),
    most_versions: int | None = None,
    *,
    names_files: bool = True,
) -> Chosen:
    """Return what of a document passes all filters, of the newest ``most_versions`` versions that have such items.

    Args:
        names_files: Whether any item may name one, see ``may_name_files``.

    Raises:
        MalformedDocument: It is no products document; the message names the place in it.
        UnsafePath: The path of a file that is wanted leads out of the tree, or to where something else stands.
    """
    flattened = Flattened(document, place)
    is_all = not filters and most_versions is None
    if is_all and not names_files:
        require_shape(document)
        return Chosen()
    chosen = Chosen(None if is_all else {})
    for row in flattened.rows(filters, most_versions):
        if chosen.items is not None:
            versions = chosen.items.setdefault(row[PRODUCT_NAME], {})
            versions.setdefault(row[VERSION_NAME], set()).add(row[ITEM_NAME])
            if "region" in row:
                chosen.regions.add(row["region"])
        if "path" in row:
            _note(chosen, row)
    return chosen


def may_name_files(text: bytes) -> bool:
    """Return whether any item of a document may name a file; those of image ids are the largest, and name none."""
    return b'"path"' in text or b"\\u" in text


def files_of(document: Mapping[str, Any]) -> dict[str, File]:
    """Return the files that a products document names, by their key; what is unsafe of them is no file of ours."""
    chosen = Chosen()
    for row in Flattened(document, "").rows():
        if "path" in row:
            _note(chosen, row)
    return chosen.files


def _note(chosen: Chosen, row: Row) -> None:
    where = (
        f"products[{json.dumps(row[PRODUCT_NAME])}].versions[{json.dumps(row[VERSION_NAME])}]"
        f".items[{json.dumps(row[ITEM_NAME])}]"
    )
    file = File.of_row(row, where)
    require_file(file.path, f"{where}.path")
    key = file.key
    known = chosen.files.get(key)
    if known is None:
        chosen.files[key] = file
    elif known.agrees(file):
        chosen.files[key] = known.joined(file)
    else:
        chosen.disputed[key] = DISPUTED
    chosen.users.setdefault(key, set()).add((row[PRODUCT_NAME], row[VERSION_NAME]))


def require_shape(document: Mapping[str, Any]) -> None:
    """Refuse a document whose products, versions or items are no objects."""
    for name, product in as_object(document["products"], "products").items():
        where = f"products[{json.dumps(name)}]"
        versions = as_object(product, where).get("versions")
        for at, version in as_object(versions, f"{where}.versions").items() if versions is not None else ():
            there = f"{where}.versions[{json.dumps(at)}]"
            items = as_object(version, there).get("items")
            for item_name, item in as_object(items, f"{there}.items").items() if items is not None else ():
                if item.__class__ is not dict:
                    as_object(item, f"{there}.items[{json.dumps(item_name)}]")
