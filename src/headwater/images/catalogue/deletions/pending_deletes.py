"""Deleted images whose data is kept for a time, in SQL.

The deletion takes such an image out of ``images`` as it does any other, so no list, no download and no feed has to
leave it out. One row keeps all that made it what it was, and whoever restores it, or lets its data go, holds that row:
of the two one finds it, and the other finds nothing. What is let go of is noted as discarded in the same transaction,
and removed as everything that nobody needs (``discarded.py``).

Two reasons keep data. In the trash it waits for who deleted it by mistake, and counts against its owner's limits. For
feeds it waits until their readers know (``feed_files.py``), and counts for nobody: its row names no owner. Of an image
with both, the one time follows the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, func, insert, or_, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import NotFound
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, found_of, replaced
from headwater.images.catalogue.locations import given
from headwater.images.catalogue.rows import deleted_of, inserted, row_of
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.model import Held, Image, ImageLocation, Location, Status

_TABLE = tables.pending_deletes
_MEMBERS = tables.image_members
_SERVED = 100  # rows that are read for one name of a file
# What an image holds while an import works on it, and what is told of it afterwards.
_TASK, _COMING, _FAILED = "os_glance_import_task", "os_glance_importing_to_stores", "os_glance_failed_import"


class NotPending(NotFound):
    """No image with this id, or name, waits for its data to go: nobody deleted it, or the data is let go of."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"no deleted image {image_id} can be restored: 'headwater trash list' shows those that can")
        self.image_id = image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is noted of a deletion."""

    at: int  # microseconds since 1970, as all times here
    scrub_at: int  # when the data goes
    user_id: str | None = None  # who deleted it
    project_id: str | None = None
    is_counted: bool = True  # against its owner's limits
    served_until: int = 0  # until then feeds give its files; 0: they do not


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelete:
    """One deleted image whose data is still there."""

    image: Image  # as it was
    held: Held
    deletion: Deletion
    stored_size: int  # bytes of all its copies
    fingerprint: Fingerprint | None = None  # what was found of the data, where feeds give files of it


@dataclass(frozen=True, slots=True)
class Total:
    """All of them."""

    images: int
    bytes: int
    oldest: int | None  # when the first of them was deleted


class PendingDeleteRows:
    """Those of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, limit: int, after: tuple[int, str] | None = None) -> list[PendingDelete]:
        """Return those whose data goes first.

        Args:
            after: Only those after this time, and of those of just this time, after this id.
        """
        query = select(_TABLE).order_by(_TABLE.c.scrub_at, _TABLE.c.image_id).limit(limit)
        if after is not None:
            query = query.where(*_beyond(*after))
        return self._database.read(lambda c: [_pending(row) for row in c.execute(query).mappings()])

    def get(self, image_id: str) -> PendingDelete:
        """Return one or raise ``NotPending``."""
        row = self._database.read(lambda c: c.execute(_one(image_id)).mappings().first())
        if row is None:
            raise NotPending(image_id)
        return _pending(row)

    def due(self, now: int, limit: int, after: tuple[int, str] = (0, "")) -> list[tuple[int, str]]:
        """Return those whose time is over, first what is over longest: each the time when its data goes, and its id.

        Args:
            after: Only those after this one.
        """
        scrub_at, image_id = _TABLE.c.scrub_at, _TABLE.c.image_id
        query = select(scrub_at, image_id).where(scrub_at <= now, *_beyond(*after)).order_by(scrub_at, image_id)
        return self._database.read(lambda c: [(at, found) for at, found in c.execute(query.limit(limit))])

    def served(self, image_id: str, now: int) -> PendingDelete | None:
        """Return a deleted image of which feeds give files; ``None``: they give none."""
        return next(iter(self.served_between(image_id, image_id, now)), None)

    def served_between(self, first: str, last: str, now: int) -> list[PendingDelete]:
        """Return those of which feeds give files whose ids are not before the one and not after the other."""
        query = select(_TABLE).where(_TABLE.c.image_id.between(first, last)).order_by(_TABLE.c.image_id)
        rows = self._database.read(lambda connection: connection.execute(query.limit(_SERVED)).mappings().all())
        return [each for each in map(_pending, rows) if now < each.deletion.served_until]

    def count_no_more(self, image_id: str, now: int) -> bool:
        """Keep for feeds alone what was in the trash too, where they need it; return whether its data stays for that.

        It counts against no limit from now on.
        """

        if self.served(image_id, now) is None:
            return False

        def work(connection: Connection) -> bool:
            row = connection.execute(_one(image_id).with_for_update()).mappings().first()
            if row is None or (deletion := _pending(row).deletion).served_until <= now:
                return False
            known = {**msgspec.json.decode(row["document"]), "is_counted": False}
            document = msgspec.json.encode(known).decode()
            values = {"owner": None, "scrub_at": deletion.served_until, "document": document}
            connection.execute(update(_TABLE).where(_TABLE.c.image_id == image_id).values(values))
            _say_deleted(connection, image_id)
            return True

        return self._database.write(work)

    def total(self) -> Total:
        """Return how many there are, and how much they hold."""
        query = select(func.count(), func.coalesce(func.sum(_TABLE.c.stored_size), 0), func.min(_TABLE.c.deleted_at))
        count, size, oldest = self._database.read(lambda connection: connection.execute(query).one())
        return Total(count, int(size), oldest)


# --- Steps of changes -----------------------------------------------------------------------------


def kept(
    connection: Connection,
    image: Image,
    held: Held,
    deletion: Deletion,
    feeds: FeedFiles = FeedFiles(),  # noqa: B008
) -> Deletion | None:
    """Keep what an image is, in the transaction that deletes it and before its rows are gone, and return how.

    Args:
        deletion: How it would be kept in the trash; for no time, where ``scrub_at`` is the time of the deletion.

    Returns:
        ``None``: nothing is kept.
    """
    found = found_of(connection, image.id) if feeds.kept_s else None
    is_served = bool(feeds.kept_s) and feeds.names(image, found)
    served_until = deletion.at + feeds.kept_s * 1_000_000 if is_served else 0
    deletion = replace(deletion, served_until=served_until, is_counted=deletion.scrub_at > deletion.at)
    if not deletion.is_counted:
        if not is_served:
            return None
        deletion = replace(deletion, scrub_at=served_until)
    members = connection.execute(select(_MEMBERS).where(_MEMBERS.c.image_id == image.id)).mappings()
    document = {
        **row_of(image),
        "members": [dict(row) for row in members],
        "locations": [
            {"store": each.at.store, "key": each.at.object_key, "metadata": each.metadata, "verdict": each.verdict}
            for each in held
        ],
        "user_id": deletion.user_id,
        "project_id": deletion.project_id,
        "is_counted": deletion.is_counted,
        "served_until": served_until,
        "fingerprint": found if is_served else None,
    }
    row = {
        "image_id": image.id,
        "owner": image.owner if deletion.is_counted else None,
        "deleted_at": deletion.at,
        "scrub_at": deletion.scrub_at,
        "stored_size": (image.size or 0) * len(held),
        "document": msgspec.json.encode(document).decode(),
    }
    connection.execute(insert(_TABLE), row)
    return deletion


def restored(image_id: str, now: int) -> Step[Image]:
    """Make a deleted image what it was: its state, members, tags, properties and locations.

    Raises:
        NotPending: There is none, or its data is let go of.
    """

    def step(transaction: Transaction) -> Image:
        connection = transaction.connection
        pending, members = _taken(connection, image_id)
        for gone in (tables.deleted_images, tables.purged_images):  # an older release may have purged it
            connection.execute(delete(gone).where(gone.c.id == image_id))
        before = replace(pending.image, status=Status.PENDING_DELETE)
        image = replace(
            pending.image,
            updated_at=max(now, pending.image.updated_at + 1),
            revision=pending.image.revision + 1,
            properties=_after_import(pending.image),
        )
        inserted(transaction, image, before)
        given(image_id, pending.held)(transaction)
        if members:
            connection.execute(insert(_MEMBERS), members)
        if pending.fingerprint is not None:
            replaced(connection, pending.fingerprint)
        # What has counted all the time too: who is over a limit by now gets nothing back that would have gone.
        transaction.grew(image.owner, "image_count_total")
        if pending.stored_size:
            transaction.grew(image.owner, "image_size_total")
        return image

    return step


def let_go(image_id: str, now: int) -> Step[PendingDelete]:
    """Restore an image never more: what it was is returned, and its data is discarded.

    Raises:
        NotPending: It is restored meanwhile, or let go of.
    """

    def step(transaction: Transaction) -> PendingDelete:
        connection = transaction.connection
        pending, _ = _taken(connection, image_id)
        discard(connection, [each.at for each in pending.held], now)
        _say_deleted(connection, image_id)
        return pending

    return step


def _say_deleted(connection: Connection, image_id: str) -> None:
    """Let what an image was say that it is gone, and no more that it can be restored."""
    gone = tables.deleted_images
    document = connection.scalar(select(gone.c.document).where(gone.c.id == image_id).with_for_update())
    if document is not None:
        known = {**msgspec.json.decode(document), "status": Status.DELETED.value}
        ended = update(gone).where(gone.c.id == image_id)
        connection.execute(ended.values(document=msgspec.json.encode(known).decode()))


def _taken(connection: Connection, image_id: str) -> tuple[PendingDelete, list[dict[str, Any]]]:
    """Take one away, and return it and the rows of its members."""
    row = connection.execute(_one(image_id).with_for_update()).mappings().first()
    if row is None:
        raise NotPending(image_id)
    connection.execute(delete(_TABLE).where(_TABLE.c.image_id == image_id))
    names = {column.name for column in _MEMBERS.columns}
    members = msgspec.json.decode(row["document"])["members"]
    return _pending(row), [{name: each[name] for name in names & each.keys()} for each in members]


def _one(image_id: str) -> Select[Any]:
    return select(_TABLE).where(_TABLE.c.image_id == image_id)


def _beyond(scrub_at: int, image_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    # Said in two steps, as no index is used for the second alone.
    return _TABLE.c.scrub_at >= scrub_at, or_(_TABLE.c.scrub_at > scrub_at, _TABLE.c.image_id > image_id)


def _pending(row: RowMapping) -> PendingDelete:
    document = msgspec.json.decode(row["document"])
    found = document.get("fingerprint")  # as the keys below, not in what an older release has kept
    return PendingDelete(
        image=deleted_of(row["document"]),
        held=tuple(
            ImageLocation(at=Location(each["store"], each["key"]), metadata=each["metadata"], verdict=each["verdict"])
            for each in document["locations"]
        ),
        deletion=Deletion(
            at=row["deleted_at"],
            scrub_at=row["scrub_at"],
            user_id=document["user_id"],
            project_id=document["project_id"],
            is_counted=document.get("is_counted", True),
            served_until=document.get("served_until", 0),
        ),
        stored_size=row["stored_size"],
        fingerprint=None if found is None else msgspec.convert(found, Fingerprint),
    )


def _after_import(image: Image) -> Mapping[str, str]:
    """Return an image's properties as they are after an import that its deletion has ended, if one was on its way."""
    if _TASK not in image.properties:
        return image.properties
    properties = {name: value for name, value in image.properties.items() if name != _TASK}
    return {**properties, _COMING: "", _FAILED: properties.get(_COMING, "")}


def objects_of(connection: Connection, store: str, which: ColumnElement[bool]) -> set[str]:
    """Return the keys of what images have in a store that can be restored."""
    kept = [_pending(row) for row in connection.execute(select(_TABLE).where(which)).mappings()]
    return {held.at.object_key for each in kept for held in each.held if held.at.store == store}
