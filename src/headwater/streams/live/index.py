"""The index over the products documents of the live feed, put together from texts that are kept."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.streams.format.documents import Index, IndexEntry, signed_name
from headwater.streams.format.json_objects import filled, member


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
