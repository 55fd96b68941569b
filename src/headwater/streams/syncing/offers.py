"""What feeds offer for a sync: their files of images, by its filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from headwater.errors import SettingsError
from headwater.streams.format.json_objects import MalformedDocument
from headwater.streams.query.filters import parse_filters
from headwater.streams.query.flattening import Flattened, Row
from headwater.streams.query.reading import FeedDocuments
from headwater.streams.syncing.items import DATATYPE, Offered, filters_of, offered
from headwater.streams.syncing.terms import SyncTerms
from headwater.streams.trees.tree import Tree

if TYPE_CHECKING:
    from pysequoia import Cert

MOST_ITEMS: Final = 5_000  # of one sync; the largest cloud has some hundreds of such images


class TooManyItems(SettingsError):
    """The filters take more than any cloud wants."""

    def __init__(self, place: str) -> None:
        super().__init__(
            f"{place}: the filters take more than {MOST_ITEMS} items; name the releases, arches and ftypes"
        )
        self.place = place


def read_offers(
    tree: Tree,
    terms: SyncTerms,
    *,
    start: str | None = None,
    trusted: Sequence[Cert] | None = None,
    verifies: bool = True,
) -> Offered:
    """Return the items of a feed that a sync wants.

    Args:
        start: The path of an index or products document. Default: the index of the feed.
        trusted: Keys of which one has to have signed each document. A signed feed is not read without.
        verifies: Whether signatures are looked at.

    Raises:
        TooManyItems: As it says.
        HeadwaterError: As ``query.query`` says.
    """
    documents = FeedDocuments(
        tree,
        start=start,
        trusted=trusted,
        verifies=verifies,
        wants=lambda entry: entry.datatype in (None, DATATYPE),
    )
    return offered(_rows(tree, documents, terms))


def _rows(tree: Tree, documents: FeedDocuments, terms: SyncTerms) -> Iterator[Row]:
    # A version without files is none of the newest: there is nothing of it to bring.
    filters, count = parse_filters((*filters_of(terms.filters), "path!=")), 0
    for path, document in documents.products():
        try:
            for row in Flattened(document, tree.place).rows(filters, terms.max_versions):
                count += 1
                if count > MOST_ITEMS:
                    raise TooManyItems(tree.place)
                yield row
        except MalformedDocument as error:
            raise type(error)(f"{path}: {error.where}", error.problem) from error
