"""The images kept in SQL: get and page, and the steps of changes that create, change and delete them.

The bytes on their way in, and those to be discarded, are in ``upload_records.py`` and ``discarded.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, or_, select, union_all
from sqlalchemy.exc import IntegrityError

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Conflict, Invalid
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import Deletion, kept
from headwater.images.catalogue.discarded import discard, discard_import_objects
from headwater.images.catalogue.lists import listing
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.locations import held_by, judge
from headwater.images.catalogue.rows import (
    GET,
    GET_FOR,
    GET_SEEN,
    ImageNotFound,
    deleted_of,
    digest,
    image_of,
    inserted,
    locked,
    members_of_deleted,
    removed,
    replaced,
)
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.model import Held, Image, Location, Status


class ImageExists(Conflict):
    """The id is taken, by an image that lives or by one that was deleted."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image ID {image_id} already exists!")
        self.image_id = image_id


class MarkerNotFound(Invalid):
    """A page was asked to begin after an image that is not there."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"No image found with ID {image_id}: the marker must be an image that the list may show")
        self.image_id = image_id


class ImageRows:
    """All images of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Reading ---------------------------------------------------------------------------------

    def get(self, image_id: str) -> Image:
        """Return one image or raise ``ImageNotFound``."""
        row = self._database.read(lambda connection: connection.execute(GET, {"id": image_id}).first())
        if row is None:
            raise ImageNotFound(image_id)
        return image_of(row)

    def get_for(self, image_id: str, project_id: str | None) -> tuple[Image, bool]:
        """Return one image, and whether it is shared with ``project_id``; or raise ``ImageNotFound``."""
        return self._found(GET_FOR, image_id, project_id)

    def get_seen(self, image_id: str, project_id: str | None) -> tuple[Image, bool]:
        """Do as ``get_for``, but raise ``ImageNotFound`` also when the project does not see the image.

        The database decides, and answers with no row either way, so that the time of an answer tells nothing.
        """
        return self._found(GET_SEEN, image_id, project_id)

    def _found(self, question: Select[Any], image_id: str, project_id: str | None) -> tuple[Image, bool]:
        row = self._database.read(
            lambda connection: connection.execute(question, {"id": image_id, "project_id": project_id}).first()
        )
        if row is None:
            raise ImageNotFound(image_id)
        return image_of(row[:-1]), row[-1] is not None

    def page(self, query: Query) -> Listed[Image]:
        """Return the images that ``query`` asks for, in its order; fewer than its limit where they hold many bytes.

        Raises:
            MarkerNotFound: There is no image with the marker's id.
        """

        def work(connection: Connection) -> Listed[Image]:
            marker: Any = query.after
            if query.marker is not None:
                marker = connection.execute(GET, {"id": query.marker}).first()
                if marker is None:
                    raise MarkerNotFound(query.marker)
            rows = listing.Page(query, digest).found(connection, marker)
            return Listed(map(image_of, rows), is_cut=rows.is_cut)

        return self._database.read(work, plans_anew=True)

    def location(self, image_id: str) -> Location | None:
        """Return where to look first for the image's bytes; ``None`` when it has none."""
        return next(iter(self.locations(image_id)), None)

    def locations(self, image_id: str) -> list[Location]:
        """Return where the image's bytes lie, in the order in which to look for them: our own stores first."""
        return [each.at for each in self.held(image_id)]

    def held(self, image_id: str) -> Held:
        """Return what ``locations`` does, with all that is known of each."""
        held = self._database.read(lambda connection: held_by(connection, image_id))
        return tuple(sorted(held, key=lambda each: each.at.is_external))

    def judge(self, image_id: str, at: Location, verdict: str) -> None:
        """Note what was found when the data at a location was read whole; nothing when it is not the image's."""
        self._database.write(lambda connection: judge(connection, image_id, at, verdict))

    # --- The deleted -----------------------------------------------------------------------------

    def deleted(self, *, since: int, limit: int, owner: str | None = None, after: str = "") -> list[tuple[Image, int]]:
        """Return images as they were, each with the time of its deletion, oldest first; not the purged ones.

        Args:
            since: Only those that were deleted at this time (microseconds since 1970) or later.
            after: Of those deleted at just this time, only the ones whose id comes after this one.
            owner: Only those of this project; ``None``: of every project.
        """
        table = tables.deleted_images
        query = select(table.c.document, table.c.deleted_at).where(
            # Said in two steps, as no index is used for the second alone.
            table.c.deleted_at >= since,
            or_(table.c.deleted_at > since, table.c.id > after),
        )
        return self._deleted(query.order_by(table.c.deleted_at, table.c.id), owner, limit)

    def count_deleted(self, *, since: int, most: int, owner: str | None = None) -> int:
        """Return how many images were deleted at this time or later; not more than ``most``."""
        table = tables.deleted_images
        some = select(table.c.deleted_at).where(table.c.deleted_at >= since)
        if owner is not None:
            some = some.where(table.c.owner == owner)
        query = select(func.count()).select_from(some.limit(most).subquery())
        return self._database.read(lambda connection: connection.execute(query).scalar_one())

    def deleted_by_age(
        self,
        *,
        since: int,
        limit: int,
        newest_first: bool,
        owner: str | None = None,
        after: tuple[int, str] | None = None,
    ) -> list[tuple[Image, int]]:
        """Return what ``deleted`` does in the order in which the images were created, and of one moment, of their ids.

        What a release deletes that runs beside this one and does not know the column is not among them: see
        ``deleted_of_no_age``.

        Args:
            after: Only those after this time of creation, and of those created at just this time, after this id.
        """
        table = tables.deleted_images
        created_at, image_id = table.c.created_at, table.c.id
        # The sum keeps databases from taking the index of deletions, and sorting what they find by it.
        query = select(table.c.document, table.c.deleted_at).where(table.c.deleted_at + 0 >= since)
        if after is None:
            query = query.where(created_at.is_not(None))
        elif newest_first:
            query = query.where(created_at <= after[0], or_(created_at < after[0], image_id < after[1]))
        else:
            query = query.where(created_at >= after[0], or_(created_at > after[0], image_id > after[1]))
        order = (created_at.desc(), image_id.desc()) if newest_first else (created_at, image_id)
        return self._deleted(query.order_by(*order), owner, limit)

    def deleted_of_no_age(
        self, *, since: int, limit: int, owner: str | None = None, after: str = ""
    ) -> list[tuple[Image, int]]:
        """Return those that ``deleted_by_age`` leaves out, in the order of their ids."""
        table = tables.deleted_images
        query = select(table.c.document, table.c.deleted_at).where(
            table.c.created_at.is_(None), table.c.id > after, table.c.deleted_at + 0 >= since
        )
        return self._deleted(query.order_by(table.c.id), owner, limit)

    def _deleted(self, query: Select[Any], owner: str | None, limit: int) -> list[tuple[Image, int]]:
        if owner is not None:
            query = query.where(tables.deleted_images.c.owner == owner)
        query = query.limit(limit)
        return self._database.read(lambda c: [(deleted_of(row.document), row.deleted_at) for row in c.execute(query)])

    def find_deleted(self, image_id: str) -> tuple[Image, int]:
        """Return a deleted image as it was and the time of its deletion, or raise ``ImageNotFound``."""
        return self._found_deleted(image_id)[:2]

    def find_deleted_for(self, image_id: str, project_id: str | None) -> tuple[Image, int, bool]:
        """Return what ``find_deleted`` does, and whether the image was shared with ``project_id``."""
        image, deleted_at, members = self._found_deleted(image_id)
        return image, deleted_at, project_id is not None and project_id in members

    def _found_deleted(self, image_id: str) -> tuple[Image, int, list[str]]:
        table = tables.deleted_images
        query = select(table.c.document, table.c.deleted_at).where(table.c.id == image_id)
        row = self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise ImageNotFound(image_id)
        return deleted_of(row.document), row.deleted_at, members_of_deleted(row.document)

    def purge(self, before: int, limit: int) -> int:
        """Forget what images were that were deleted before this time, but for their ids; return how many.

        Those that can be restored stay.

        Args:
            limit: How many at most, oldest first.
        """
        table, pending = tables.deleted_images, tables.pending_deletes
        over = (table.c.deleted_at < before, ~exists().where(pending.c.image_id == table.c.id))
        oldest = select(table.c.id).where(*over).order_by(table.c.deleted_at).limit(limit)

        def work(connection: Connection) -> int:
            ids = list(connection.scalars(oldest.with_for_update()))
            if ids:
                connection.execute(insert(tables.purged_images), [{"id": each} for each in ids])
                connection.execute(delete(table).where(table.c.id.in_(ids)))
            return len(ids)

        return self._database.write(work)


# The states in which an image has data that callers could use.
_RESTORABLE = frozenset({Status.ACTIVE, Status.DEACTIVATED})
_USED = union_all(
    select(tables.deleted_images.c.id).where(tables.deleted_images.c.id == bindparam("id")),
    select(tables.purged_images.c.id).where(tables.purged_images.c.id == bindparam("id")),
)


# --- Steps of changes -----------------------------------------------------------------------------


def created(image: Image, *, fresh_id: bool) -> Step[Image]:
    """Keep a new image, and return it.

    Args:
        fresh_id: The id was made at random just now, so it cannot be one that was used before.

    Raises:
        ImageExists: An image has the id, or had it before it was deleted.
    """

    def step(transaction: Transaction) -> Image:
        try:
            inserted(transaction, image)
        except IntegrityError as error:
            raise ImageExists(image.id) from error
        if not fresh_id and transaction.connection.execute(_USED, {"id": image.id}).first() is not None:
            raise ImageExists(image.id)
        return image

    return step


def changed(image_id: str, change: Callable[[Image], Image]) -> Step[Image]:
    """Replace one image by ``change`` of it, which is a pure function, and return the new one.

    Raises:
        ImageNotFound: There is no such image.
    """

    def step(transaction: Transaction) -> Image:
        before = locked(transaction, image_id)
        return replaced(transaction, before, change(before))

    return step


def deleted(
    image_id: str,
    allowed: Callable[[Image], None],
    how: Deletion,
    feeds: FeedFiles = FeedFiles(),  # noqa: B008 - frozen
) -> Step[list[Location]]:
    """Delete the image, and return what bytes it leaves to discard. Its id is never used again.

    Args:
        allowed: Raises when this image may not be deleted.
        how: For how long its data is kept, where it has any that callers could use.
        feeds: Of which images files are given for a time after this.

    Raises:
        ImageNotFound: There is no such image.
    """

    def step(transaction: Transaction) -> list[Location]:
        connection = transaction.connection
        image = locked(transaction, image_id)
        allowed(image)
        held = held_by(connection, image_id)
        left = discard_import_objects(connection, image_id, how.at)
        if held and image.status in _RESTORABLE:
            keeping = kept(connection, image, held, how, feeds)
            if keeping is not None:
                status = Status.PENDING_DELETE if keeping.is_counted else image.status
                removed(transaction, replace(image, status=status), how.at)
                return left
        ours = [each.at for each in held if not each.at.is_external]
        discard(connection, ours, how.at)
        removed(transaction, image, how.at)
        return ours + left

    return step
