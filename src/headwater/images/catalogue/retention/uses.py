"""When images were last used, kept in SQL.

A row of its own for each image that was used, so that neither the image nor its lists, its ``updated_at`` and its feed
change when somebody uses it. A row is written at most once an hour: what is kept is right to the hour.

That an image has no row says nothing of a time in which nobody noted uses: before the first release that does, and
while only older releases ran again. So it is kept since when, and until when, they are noted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database import tables
from headwater.database.engine import Database

HOUR = 3_600_000_000  # microseconds
AT_ONCE = 500  # images in one statement
GAP = 24 * HOUR  # for so long nobody may have noted uses without its being taken for a time in which nobody did
_SINCE, _UNTIL = "uses since", "uses until"

_uses = tables.image_uses
_revisions = tables.catalogue_revisions


class ImageUseRows:
    """The last uses of all images of one database; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, used: Mapping[str, int]) -> None:
        """Note that images were used at these times; nothing of those that are gone, or were used within the hour."""
        for ids in batches(used):
            known = self.of(ids)
            late = {each: used[each] for each in ids if used[each] - known.get(each, -HOUR) >= HOUR}
            if late:
                self._note(late, known)

    def _note(self, used: Mapping[str, int], known: Mapping[str, int]) -> None:
        def work(connection: Connection) -> None:
            for image_id, at in sorted(used.items()):  # in one order: two processes never wait for each other
                mine = _uses.c.image_id == image_id
                if image_id in known:
                    connection.execute(update(_uses).where(mine, _uses.c.used_at < at).values(used_at=at))
                else:
                    there = select(tables.images.c.id, literal(at, BigInteger)).where(
                        tables.images.c.id == image_id,
                        ~select(_uses.c.image_id).where(mine).exists(),
                    )
                    connection.execute(insert(_uses).from_select(["image_id", "used_at"], there))

        try:
            self._database.write(work)
        except IntegrityError:
            # Another process noted one of them first, or one was deleted: what is left is small, and goes one by one.
            if len(used) > 1:
                for image_id, at in used.items():
                    self._note({image_id: at}, known)

    def of(self, ids: Collection[str]) -> dict[str, int]:
        """Return when images were last used, by id, in microseconds since 1970; not of those that nobody has used."""
        found: dict[str, int] = {}
        for some in batches(ids):
            query = select(_uses.c.image_id, _uses.c.used_at).where(_uses.c.image_id.in_(some))
            found.update(self._database.read(partial(_pairs, query)))
        return found

    def since(self, now: int) -> int | None:
        """Return since when uses are noted without a gap, in microseconds since 1970; ``None``: they are not now."""
        rows = self._noted()
        is_going_on = _UNTIL in rows and now - rows[_UNTIL] <= GAP
        return rows.get(_SINCE) if is_going_on else None

    def going_on(self, now: int) -> None:
        """Say that uses are noted: from now on, unless that goes on from what was said before."""
        rows = self._noted()
        if _UNTIL in rows and now - rows[_UNTIL] <= GAP:
            new = {_UNTIL: max(now, rows[_UNTIL])}
        else:
            new = {_SINCE: now, _UNTIL: now}
        try:
            self._database.write(partial(_put, new, rows))
        except IntegrityError:
            return  # another process that starts now has said it

    def _noted(self) -> dict[str, int]:
        query = select(_revisions.c.scope, _revisions.c.revision).where(_revisions.c.scope.in_((_SINCE, _UNTIL)))
        return dict(self._database.read(partial(_pairs, query)))


def _put(new: Mapping[str, int], known: Mapping[str, int], connection: Connection) -> None:
    for scope, at in new.items():
        if scope in known:
            connection.execute(update(_revisions).where(_revisions.c.scope == scope).values(revision=at))
        else:
            connection.execute(insert(_revisions), {"scope": scope, "revision": at})


def _pairs(query: Select[Any], connection: Connection) -> list[tuple[str, int]]:
    return [(image_id, used_at) for image_id, used_at in connection.execute(query)]


def batches(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield as many ids at a time as one statement takes."""
    left = iter(ids)
    while some := list(islice(left, AT_ONCE)):
        yield some
