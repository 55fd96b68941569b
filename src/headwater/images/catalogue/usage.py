"""What a project uses, counted in SQL when somebody wants to know, so that there is no tally to go wrong.

Counted is what the catalogue has under the project's name: every image in it, in whatever state, and every deleted one
that can be restored; the bytes of each copy that they have; the bytes that uploads have announced or brought so far,
also those for an image that was deleted meanwhile. The indexes on the owner keep other projects' images out of the way,
and a number is counted no further than anybody needs it.

``lock`` lets the uses of one project follow each other: without it, two that count at once would both find the last
place free. On SQLite all writes queue already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    false,
    func,
    insert,
    or_,
    select,
    true,
)

from headwater.database.engine import Database
from headwater.database.tables import image_locations, images, import_objects, pending_deletes, project_locks, uploads
from headwater.images.model import Status

_PROJECT: BindParameter[str] = bindparam("project", type_=images.c.owner.type)
_MOST: BindParameter[int] = bindparam("most", type_=BigInteger())
_STAGED = (Status.UPLOADING.value, Status.IMPORTING.value)


NO_MATTER_HOW_MANY = (1 << 63) - 1


def lock(connection: Connection, project_id: str) -> None:
    """Wait until nobody else counts for this project, and let nobody until the transaction ends."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        return
    row = {"project_id": project_id}
    if connection.execute(_LOCKED, row).first() is not None:
        return
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_new  # noqa: PLC0415 - takes long, and for it only

        connection.execute(insert_new(project_locks).values(row).on_conflict_do_nothing())
    else:
        connection.execute(insert(project_locks).prefix_with("IGNORE").values(row))
    connection.execute(_LOCKED, row).one()


def image_count(connection: Connection, project_id: str, most: int = NO_MATTER_HOW_MANY) -> int:
    """Return how many images the project has; what is beyond ``most`` is not counted."""
    return _scalar(connection, _IMAGE_COUNT, project_id, most) + _scalar(connection, _PENDING_COUNT, project_id, most)


def uploading_count(connection: Connection, project_id: str, most: int = NO_MATTER_HOW_MANY) -> int:
    """Return how many of its images are on their way: uploaded, staged or imported."""
    staged = _scalar(connection, _STAGED_IMAGE_COUNT, project_id, most)
    return staged + _scalar(connection, _UPLOAD_COUNT, project_id, most)


def stored_size(connection: Connection, project_id: str) -> int:
    """Return the bytes of all copies of its images, and of those that are on their way to be one."""
    coming = _scalar(connection, _COMING_SIZE, project_id) + _scalar(connection, _IMPORTED_SIZE, project_id)
    return _scalar(connection, _STORED_SIZE, project_id) + _scalar(connection, _PENDING_SIZE, project_id) + coming


def staged_size(connection: Connection, project_id: str) -> int:
    """Return the bytes of the project that wait for their import, and of those that are on their way there."""
    return _scalar(connection, _STAGED_SIZE, project_id) + _scalar(connection, _COMING_STAGED_SIZE, project_id)


_Count = Callable[[Connection, str, int], int]

# How much of each resource a project uses, counted a little beyond what would be too much.
_COUNTS: Mapping[str, _Count] = MappingProxyType(
    {
        "image_size_total": lambda connection, project_id, _most: stored_size(connection, project_id),
        "image_stage_total": lambda connection, project_id, _most: staged_size(connection, project_id),
        "image_count_total": image_count,
        "image_count_uploading": uploading_count,
    }
)


class Used:
    """What projects use, as one transaction leaves it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, project_id: str, resource: str, most: int) -> int:
        """Return how much a project uses of a resource; what is beyond ``most`` may not be counted.

        From here to the end of the transaction nobody else takes anything for this project.
        """
        lock(self._connection, project_id)
        return _COUNTS[resource](self._connection, project_id, most)


class ProjectUsage:
    """What the projects of one database use; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, project_id: str) -> dict[str, int]:
        """Return how much a project uses of each resource, sizes in bytes."""
        return self._database.read(
            lambda connection: {
                name: count(connection, project_id, NO_MATTER_HOW_MANY) for name, count in _COUNTS.items()
            }
        )


def _scalar(connection: Connection, query: Select[Any], project_id: str, most: int | None = None) -> int:
    given = {"project": project_id} if most is None else {"project": project_id, "most": most}
    return int(connection.scalar(query, given) or 0)


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(_MOST).subquery())


_LOCKED = (
    select(project_locks.c.project_id).where(project_locks.c.project_id == bindparam("project_id")).with_for_update()
)
# Both values of os_hidden are named because the index begins with it.
_OWN = (images.c.os_hidden.in_([false(), true()]), images.c.owner == _PROJECT)
_IMAGES = select(images.c.id).where(*_OWN)
_IMAGE_COUNT = _count(_IMAGES)
_PENDING = (pending_deletes.c.owner == _PROJECT,)
_PENDING_COUNT = _count(select(pending_deletes.c.owner).where(*_PENDING))
_PENDING_SIZE = select(func.sum(pending_deletes.c.stored_size)).where(*_PENDING)
_STAGED_IMAGE_COUNT = _count(_IMAGES.where(images.c.status.in_(_STAGED)))
_OWN_UPLOADS = uploads.outerjoin(images, images.c.id == uploads.c.image_id)
_IS_STAGED: ColumnElement[bool] = images.c.status.in_(_STAGED)
_IS_STORED: ColumnElement[bool] = or_(images.c.id.is_(None), images.c.status.not_in(_STAGED))
_UPLOAD_COUNT = _count(
    select(uploads.c.image_id).select_from(_OWN_UPLOADS).where(uploads.c.owner == _PROJECT, _IS_STORED)
)
# Asked for each image of the project, as a join may read the locations of all others.
_COPIES = select(func.count()).where(image_locations.c.image_id == images.c.id).scalar_subquery()
_STORED_SIZE = select(func.sum(images.c.size * _COPIES)).where(*_OWN)
_COMING_SIZE = select(func.sum(uploads.c.size)).select_from(_OWN_UPLOADS).where(uploads.c.owner == _PROJECT, _IS_STORED)
_IMPORTED_SIZE = (
    select(func.sum(import_objects.c.size))
    .select_from(import_objects.join(images, images.c.id == import_objects.c.image_id))
    .where(*_OWN, import_objects.c.task_id.is_not(None))
)
_STAGED_SIZE = select(func.sum(images.c.size)).where(*_OWN, _IS_STAGED)
_COMING_STAGED_SIZE = (
    select(func.sum(uploads.c.size)).select_from(_OWN_UPLOADS).where(uploads.c.owner == _PROJECT, _IS_STAGED)
)
