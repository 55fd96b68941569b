"""What belongs to a feed: its indexes, the documents that they name, and the files that those name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from headwater.streams.format.documents import INDEX_FORMAT, Index, Products, signed_name
from headwater.streams.format.json_objects import MalformedDocument, parse_json
from headwater.streams.format.layout import INDEX, INDEX2, MIRRORS, UNSIGNED_INDEXES
from headwater.streams.signing.reading import TooManyIndexes, is_there, no_start
from headwater.streams.trees.tree import Document, Tree

_MOST_INDEXES = 100


class Kind(IntEnum):
    """In which order files are published: what names others comes after them."""

    FILE = 0
    PRODUCTS = 1
    MIRRORS = 2
    INDEX = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a feed."""

    path: str
    kind: Kind
    size: int | None = None  # bytes, as a document says it
    sha256: str | None = None  # as a document says it
    stored: Document | None = field(default=None, repr=False)  # a document that was read to know what it names


def contents(tree: Tree) -> list[Part]:
    """Return what belongs to the feed in ``tree``, each path once, in the order in which it is published.

    Signed texts and detached signatures belong to the documents that they are of. A path that a document names is
    there even if nothing lies under it: whoever copies it is told.

    Raises:
        NoStart: There is none.
        MalformedDocument: A document is none; the message names it.
    """
    found: dict[str, Part] = {}
    waiting = [path for path in (INDEX, INDEX2) if is_there(tree, path)]
    if not waiting:
        raise no_start(tree, UNSIGNED_INDEXES)
    if is_there(tree, MIRRORS):
        _note(found, tree, MIRRORS, Kind.MIRRORS, tree.read(MIRRORS))
    indexes = 0
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        indexes += 1
        if indexes > _MOST_INDEXES:
            raise TooManyIndexes(tree.place, _MOST_INDEXES)
        index = _note(found, tree, path, Kind.INDEX, tree.read(path))
        for entry in _index(path, index).index.values():
            if entry.format == INDEX_FORMAT:
                waiting.append(entry.path)
            elif entry.path not in found:
                products = _note(found, tree, entry.path, Kind.PRODUCTS, tree.read(entry.path))
                found |= {each.path: each for each in _files(entry.path, products) if each.path not in found}
    return sorted(found.values(), key=lambda part: (part.kind, part.path in (INDEX, INDEX2), part.path))


def _note(found: dict[str, Part], tree: Tree, path: str, kind: Kind, stored: Document) -> Document:
    found[path] = Part(path, kind, stored=stored)
    for twin in {signed_name(path), f"{path}.gpg"} - {path}:
        if is_there(tree, twin):
            found[twin] = Part(twin, kind)
    return stored


def _files(path: str, stored: Document) -> Iterator[Part]:
    try:
        document = parse_json(stored.body)
        products = Products.from_dict(document)
    except MalformedDocument as error:
        raise MalformedDocument(f"{path}: {error.where}", error.problem) from error
    for product in products.products.values():
        for version in product.versions.values():
            for item in version.items.values():
                if item.path is not None:
                    yield Part(item.path, Kind.FILE, None if item.size is None else int(item.size), item.sha256)


def _index(path: str, stored: Document) -> Index:
    try:
        return Index.from_bytes(stored.body)
    except MalformedDocument as error:
        raise MalformedDocument(f"{path}: {error.where}", error.problem) from error
