"""A feed asked for rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.query.filters import Filter, parse_filters
from headwater.streams.query.flattening import Flattened, Row
from headwater.streams.query.reading import FeedDocuments
from headwater.streams.trees.tree import Tree

if TYPE_CHECKING:
    from pysequoia import Cert


def query(
    tree: Tree,
    filters: Iterable[str] = (),
    *,
    start: str | None = None,
    most_versions: int | None = None,
    trusted: Sequence[Cert] | None = None,
    verifies: bool = True,
    told: Callable[[int], None] = lambda _count: None,
) -> Iterator[Row]:
    """Yield the rows of a feed that pass all filters, of one document after the other.

    Rows come before later documents are read and verified: who shows them waits for the last.

    Args:
        filters: As ``filters.py`` describes them.
        start: The path of an index or products document. Default: the index of the feed.
        most_versions: How many versions of each product at most: the newest that have such rows.
        trusted: Keys of which one has to have signed each document. A signed feed is not read without.
        verifies: Whether signatures are looked at.
        told: Is told how many documents are done.

    Raises:
        FilterUnusable: A filter is none.
        MalformedDocument, UnsafePath: A document is none, or leads out of the tree; the message names file and place.
        NoStart, KeyringNeeded, NotVerified, IndexLoop, PathNotFound, TreeRefused, TreeUnavailable: As they say.
    """
    wanted = parse_filters(filters)
    documents = FeedDocuments(tree, start=start, trusted=trusted, verifies=verifies).products()
    return _rows(tree.place, documents, wanted, most_versions, told)


def _rows(
    place: str,
    documents: Iterable[tuple[str, object]],
    filters: Sequence[Filter],
    most_versions: int | None,
    told: Callable[[int], None],
) -> Iterator[Row]:
    count = 0
    for path, document in documents:  # enumerate would keep the one before, and two are twice the memory
        try:
            yield from Flattened(document, place).rows(filters, most_versions)
        except MalformedDocument as error:
            raise type(error)(f"{path}: {error.where}", error.problem) from error
        del document
        count += 1  # noqa: SIM113  # see above
        told(count)
