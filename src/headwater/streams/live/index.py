"""The index over the products documents of the live feed, put together from texts that are kept.

It names products documents by which ones they are: ``NAME-TAG.json`` beside ``NAME.json``, the newest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from headwater.streams.format.documents import Index, IndexEntry, signed_name
from headwater.streams.format.json_objects import filled, member
from headwater.streams.format.layout import DIRECTORY

TAG_DIGITS: Final = 16
_TAGGED: Final = re.compile(rf"(.+)-([0-9a-f]{{{TAG_DIGITS}}})(\.s?json)")


def entry_text(content_id: str, entry: IndexEntry, products: Iterable[bytes]) -> bytes:
    """Return an entry as it stands in the index.

    Args:
        entry: Without its products.
        products: Their names, as they stand in it.
    """
    return filled(member(content_id, entry.to_dict(), 2), "products", 3, products)


def path_in(path: str, *, signed: bool) -> str:
    """Return what an index names: a document, or in a signed index its signed twin."""
    return signed_name(path) if signed else path


def index_text(entries: Iterable[bytes], updated: str) -> bytes:
    """Return the index."""
    return filled(Index(index={}, updated=updated).to_bytes(), "index", 1, entries)


def with_tag(name: str, tag: str) -> str:
    """Return the name of a document with a tag in it."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{tag}{dot}{ending}"


def without_tag(name: str) -> tuple[str, str | None]:
    """Return the name of a document without the tag in it, and that tag; ``None``: it has none."""
    found = _TAGGED.fullmatch(name)
    return (name, None) if found is None else (f"{found[1]}{found[3]}", found[2])


def naming_tagged(index: bytes, names: Iterable[str], tag: str) -> bytes:
    """Return an index, as we write it, that names these documents, or their signed twins, with a tag."""
    for name in names:
        for each in (name, signed_name(name)):
            index = index.replace(_path(each), _path(with_tag(each, tag)))
    return index


def _path(name: str) -> bytes:
    return f'"{DIRECTORY}/{name}"'.encode("ascii")
