"""Pages of the objects and the tags of one namespace, which is read as a whole."""

from __future__ import annotations

import operator
from typing import Literal, TypeVar

from headwater.errors import Invalid
from headwater.images.metadefs.model import MetadefObject, Namespace, Tag

P = TypeVar("P", MetadefObject, Tag)

PART_SORT_KEYS = ("created_at", "updated_at", "name")


class PageOfParts:
    """Which objects or tags of a namespace a list shows."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        marker: str | None = None,
        sort_key: str = "created_at",
        sort_dir: Literal["asc", "desc"] = "desc",
    ) -> None:
        """Ask for a page; ``None`` as the limit asks for all.

        Raises:
            BadSortKey: Not one of ``PART_SORT_KEYS``.
        """
        if sort_key not in PART_SORT_KEYS:
            raise BadSortKey(sort_key, PART_SORT_KEYS)
        self.limit, self.marker, self.sort_key, self.sort_dir = limit, marker, sort_key, sort_dir

    def of(self, namespace: Namespace, parts: tuple[P, ...], kind: type[P]) -> list[P]:
        """Return the page of ``parts``.

        Raises:
            DefinitionNotFound: The marker names none. In the order of names it has its place even when what it names
                was deleted meanwhile.
        """
        if self.sort_key == "name":
            ordered = sorted(parts, key=lambda part: part.name)
        else:  # sorting is stable, so that parts of one moment stay in the order they were added, or the reverse
            ordered = sorted(parts, key=lambda part: int(getattr(part, self.sort_key)))
        if self.sort_dir == "desc":
            ordered.reverse()
        if self.marker is not None and self.sort_key == "name":
            beyond = operator.lt if self.sort_dir == "desc" else operator.gt
            ordered = [part for part in ordered if beyond(part.name, self.marker)]
        elif self.marker is not None:
            ordered = ordered[ordered.index(namespace.get(parts, kind, self.marker)) + 1 :]
        return ordered if self.limit is None else ordered[: self.limit]


class BadSortKey(Invalid):
    """Lists are not sorted by this."""

    def __init__(self, key: str, known: tuple[str, ...]) -> None:
        super().__init__(f"Invalid sort key: {key[:40]}. It must be one of the following: {', '.join(known)}.")
        self.key = key
