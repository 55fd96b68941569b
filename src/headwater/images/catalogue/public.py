"""The public images as the feed asks for them: all of them, and which have changed.

Each change of an image that is or was public makes one number grow and notes under it which image it was of
(``public_changes``), in the transaction of the change. So the notes after a number, when none is missing, are all that
has changed since. One is missing when a release that makes no notes has written, or when the notes were forgotten that
nobody needs; and a catalogue that was put back from a copy has another note under the same number. Then nobody knows
what has changed, and everything has to be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, delete, func, literal_column, or_, select

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.lists import audience
from headwater.images.catalogue.rows import image_of
from headwater.images.model import Image, Status

FOLLOWED: Final = 1000  # changes that are told one by one; after more, everything is read
SLICE: Final = 100  # images that are read at once


@dataclass(frozen=True, slots=True)
class Revision:
    """Up to which change of the public images somebody knows."""

    number: int
    image_id: str | None  # of which image the last one was; None when it was not noted


class PublicImageRows:
    """The public images of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> Revision:
        """Return what is another one after each change of an image that is or was public."""
        row = self._database.read(lambda connection: connection.execute(_REVISION).one())
        return Revision(row.revision, row.image_id)

    def changed(self, since: Revision, until: Revision) -> Collection[str] | None:
        """Return the ids of the images that have changed in between, and maybe some more; ``None``: nobody knows."""
        rows = self._rows(_NOTES, {"since": since.number})
        if since.image_id is not None and (not rows or rows[0] != (since.number, since.image_id)):
            return None
        new = [row for row in rows if row.revision > since.number]
        reached = since.number + len(new)
        if not since.number <= until.number <= reached or (new and new[-1].revision != reached):
            return None
        return {row.image_id for row in new}

    def get(self, image_ids: Collection[str]) -> Iterator[Image]:
        """Yield those of these images that are there, public or not, in any order."""
        wanted = list(image_ids)
        for start in range(0, len(wanted), SLICE):
            yield from map(image_of, self._rows(_THESE, {"ids": wanted[start : start + SLICE]}))

    def everything(self) -> Iterator[Image]:
        """Yield every image that everybody may boot: public, active and not hidden; oldest first.

        They are read slice by slice, so those that change meanwhile may be there or not; the revision tells.
        """
        rows = self._rows(_FIRST, {})
        while rows:
            yield from map(image_of, rows)
            rows = self._rows(_NEXT, {"created_at": rows[-1].created_at, "id": rows[-1].id})

    def forget(self) -> int:
        """Forget the notes that are too old to be followed, once there are some, and return how many."""
        table = tables.public_changes
        ends = select(func.min(table.c.revision), func.max(table.c.revision))
        oldest, newest = self._database.read(lambda connection: connection.execute(ends).one())
        if oldest is None or newest - oldest < 2 * FOLLOWED:
            return 0
        statement = delete(table).where(table.c.revision <= newest - FOLLOWED)
        return self._database.write(lambda connection: connection.execute(statement).rowcount)

    def _rows(self, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
        return self._database.read(lambda connection: connection.execute(query, values).all())


_IMAGES, _CHANGES, _REVISIONS = tables.images.c, tables.public_changes, tables.catalogue_revisions
_REVISION = (
    select(_REVISIONS.c.revision, _CHANGES.c.image_id)
    .select_from(_REVISIONS.outerjoin(_CHANGES, _CHANGES.c.revision == _REVISIONS.c.revision))
    .where(_REVISIONS.c.scope == "public")
)
_NOTES = (
    select(_CHANGES.c.revision, _CHANGES.c.image_id)
    .where(_CHANGES.c.revision >= bindparam("since"))
    .order_by(_CHANGES.c.revision)
    .limit(FOLLOWED + 1)
)
_THESE = select(tables.images).where(_IMAGES.id.in_(bindparam("ids", expanding=True)))
# The words stand in the statement: PostgreSQL makes one plan for all values of what is bound.
_FIRST = (
    select(tables.images)
    .where(
        _IMAGES.audience == literal_column(f"'{audience.everybody(hidden=False)}'"),
        _IMAGES.status == literal_column(f"'{Status.ACTIVE}'"),
    )
    .order_by(_IMAGES.created_at, _IMAGES.id)
    .limit(literal_column(str(SLICE)))
)
_NEXT = _FIRST.where(
    _IMAGES.created_at >= bindparam("created_at"),
    or_(
        _IMAGES.created_at > bindparam("created_at"),
        and_(_IMAGES.created_at == bindparam("created_at"), _IMAGES.id > bindparam("id")),
    ),
)
