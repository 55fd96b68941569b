"""Tasks kept in SQL, and the steps of changes that begin and end them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, or_, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.lists import pages
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Direction
from headwater.images.catalogue.rows import locked
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.task import (
    UNFINISHED,
    ImageBusy,
    Task,
    TaskMarkerNotFound,
    TaskNotFound,
    TaskOver,
    TaskStatus,
)
from headwater.jobs import queue

SORT_KEYS = ("created_at", "updated_at", "status", "type", "id", "expires_at", "owner")
_ABSENT: Mapping[str, int | str] = MappingProxyType({"expires_at": 0, "owner": ""})  # sorted before what there is


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """What a list of tasks shows: all filters hold, ``limit`` tasks after ``marker``."""

    owner: str | None = None  # None: everybody's
    type: str | None = None
    status: str | None = None
    sort_key: str = "created_at"  # one of SORT_KEYS
    sort_dir: Direction = "desc"
    marker: str | None = None
    after: int | str | None = None  # where the marker is or was in the order; see ``place``
    limit: int = 25


def place(task: Any, sort_key: str) -> int | str:
    """Return where a task stands in lists that are sorted by ``sort_key``."""
    value: int | str | None = getattr(task, sort_key)
    return _ABSENT[sort_key] if value is None else value


class TaskRows:
    """All tasks of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, task: Task) -> None:
        """Keep a new task that no transaction of another use case keeps."""
        self._database.write(lambda connection: _enter(connection, task))

    def get(self, task_id: str) -> Task:
        """Return one task or raise ``TaskNotFound``."""
        query = select(tables.tasks).where(tables.tasks.c.id == task_id)
        row = self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise TaskNotFound(task_id)
        return _task(row)

    def page(self, query: TaskQuery) -> Listed[Task]:
        """Return the tasks that ``query`` asks for, in its order, then by id; fewer where they hold many bytes.

        Raises:
            TaskMarkerNotFound: There is no task with the marker's id, and the query does not say where it was.
        """
        if query.marker is not None and query.after is None:
            query = replace(query, after=self._place_of(query.marker, query.sort_key))

        def work(connection: Connection) -> Listed[Task]:
            def rows_after(last: Any | None) -> Sequence[Any]:
                asked = query
                if last is not None:
                    asked = replace(query, marker=last.id, after=place(last, query.sort_key))
                return connection.execute(_listed(asked)).all()

            rows = pages.read(rows_after, None, query.limit, _weight)
            return Listed(map(_task, rows), is_cut=rows.is_cut)

        return self._database.read(work)

    def _place_of(self, marker: str, sort_key: str) -> int | str:
        try:
            return place(self.get(marker), sort_key)
        except TaskNotFound as error:
            raise TaskMarkerNotFound(marker) from error

    def of_image(self, image_id: str) -> list[Task]:
        """Return the tasks that worked on the image, oldest first."""
        table = tables.tasks
        query = select(table).where(table.c.image_id == image_id).order_by(table.c.created_at, table.c.id)
        return self._database.read(lambda connection: [_task(row) for row in connection.execute(query)])

    def move(self, task_id: str, status: TaskStatus, now: int, **more: Any) -> Task:
        """Move a task on; see ``moved``."""
        return self._database.write(lambda connection: _move(connection, task_id, status, now, **more))

    def forget_expired(self, now: int) -> int:
        """Forget the tasks that were shown long enough, and return how many."""
        statement = delete(tables.tasks).where(tables.tasks.c.expires_at < now)
        return self._database.write(lambda connection: connection.execute(statement).rowcount)


# --- Steps of changes -----------------------------------------------------------------------------


def entered(task: Task) -> Step[None]:
    """Keep a new task, beside the job that does its work."""

    def step(transaction: Transaction) -> None:
        _enter(transaction.connection, task)

    return step


def job(kind: str, document: Mapping[str, Any], now: int) -> Step[str]:
    """Enter a job beside what makes it necessary, and return its id; see ``jobs.queue.enter``."""

    def step(transaction: Transaction) -> str:
        return queue.enter(transaction.connection, kind, document, now=now)

    return step


def none_works_on(image_id: str) -> Step[None]:
    """Let nobody else change the image; raise ``ImageBusy`` when a task that is not finished works on it."""

    def step(transaction: Transaction) -> None:
        locked(transaction, image_id)
        table = tables.tasks
        query = select(table.c.id).where(table.c.image_id == image_id, table.c.status.in_(sorted(UNFINISHED)))
        if transaction.connection.execute(query.limit(1)).first() is not None:
            raise ImageBusy(image_id)

    return step


def moved(task_id: str, status: TaskStatus, now: int, **more: Any) -> Step[Task]:
    """Move a task on, with its ``result`` or ``message``, and return it.

    One that is in ``status`` already stays as it is: what moves it may run twice.

    Raises:
        TaskNotFound, TaskStatusConflict: As their names say.
    """

    def step(transaction: Transaction) -> Task:
        return _move(transaction.connection, task_id, status, now, **more)

    return step


def cancelled(image_id: str, task_id: str, by: str, now: int) -> Step[Task]:
    """Let the job behind a task of an image end, and return the task as it is until then.

    Raises:
        ImageNotFound, TaskNotFound: There is no such image, or the image has no such task.
        TaskOver: It has ended.
    """

    def step(transaction: Transaction) -> Task:
        locked(transaction, image_id)
        connection = transaction.connection
        query = select(tables.tasks).where(tables.tasks.c.id == task_id, tables.tasks.c.image_id == image_id)
        row = connection.execute(query.with_for_update()).first()
        if row is None:
            raise TaskNotFound(task_id)
        task = _task(row)
        job_id = queue.job_of_task(connection, task_id)
        if task.status not in UNFINISHED or job_id is None:
            raise TaskOver(task)
        queue.cancel(connection, job_id, by, now)
        return task

    return step


def still_wanted(job_id: str) -> Step[None]:
    """Raise ``Cancelled`` when somebody has cancelled the job; nobody can any more before this transaction ends."""

    def step(transaction: Transaction) -> None:
        queue.require_wanted(transaction.connection, job_id)

    return step


def _enter(connection: Connection, task: Task) -> None:
    connection.execute(insert(tables.tasks), _row(task))


def _move(connection: Connection, task_id: str, status: TaskStatus, now: int, **more: Any) -> Task:
    row = connection.execute(select(tables.tasks).where(tables.tasks.c.id == task_id).with_for_update()).first()
    if row is None:
        raise TaskNotFound(task_id)
    before = _task(row)
    if before.status is status:
        return before
    after = before.moved_to(status, now, **more)
    connection.execute(update(tables.tasks).where(tables.tasks.c.id == task_id).values(_row(after)))
    return after


_JSON = ("input", "result")


def _row(task: Task) -> dict[str, Any]:
    row = {each.name: getattr(task, each.name) for each in fields(task)}
    row["status"] = task.status.value
    for name in _JSON:
        row[name] = None if row[name] is None else msgspec.json.encode(row[name]).decode()
    return row


def _listed(query: TaskQuery) -> Select[Any]:
    """Return the select of the next slice of a page; a query with a marker says where it stands."""
    table = tables.tasks
    statement = select(table).limit(min(query.limit, pages.SLICE))
    for name in ("owner", "type", "status"):
        if (wanted := getattr(query, name)) is not None:
            statement = statement.where(table.c[name] == wanted)
    key: ColumnElement[Any] = table.c[query.sort_key]
    if query.sort_key in _ABSENT:
        key = func.coalesce(key, _ABSENT[query.sort_key])
    backwards = query.sort_dir == "desc"
    statement = statement.order_by(*(each.desc() if backwards else each.asc() for each in (key, table.c.id)))
    if query.marker is not None:
        after = query.after
        beyond, ties = (
            (key < after, table.c.id < query.marker) if backwards else (key > after, table.c.id > query.marker)
        )
        statement = statement.where(or_(beyond, and_(key == after, ties)))
    return statement


def _weight(row: Any) -> int:
    return sum(len(value) for value in (row.input, row.result, row.message) if value)


def _task(row: Any) -> Task:
    values = dict(row._mapping)
    for name in _JSON:
        values[name] = None if values[name] is None else msgspec.json.decode(values[name])
    return Task(**{**values, "status": TaskStatus(values["status"])})
