"""Tasks: what users are told of work that goes on after their request was answered.

A task says how far the work is and what came of it; the work itself is a job (``headwater/jobs``), entered in the same
transaction. Source of the rules: the Image API of OpenStack (Glance 33), sections 7.4, 8 and 16.1.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, or_, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Conflict, Invalid, NotFound
from headwater.identity.caller import Caller
from headwater.images import pages
from headwater.images.listing import Direction
from headwater.images.pages import Listed


class TaskStatus(StrEnum):
    """How far a task is."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


UNFINISHED = frozenset({TaskStatus.PENDING, TaskStatus.PROCESSING})
MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = MappingProxyType(
    {
        TaskStatus.PENDING: frozenset({TaskStatus.PROCESSING, TaskStatus.FAILURE}),
        TaskStatus.PROCESSING: frozenset({TaskStatus.SUCCESS, TaskStatus.FAILURE}),
        TaskStatus.SUCCESS: frozenset(),
        TaskStatus.FAILURE: frozenset(),
    }
)
SORT_KEYS = ("created_at", "updated_at", "status", "type", "id", "expires_at", "owner")
_ABSENT: Mapping[str, int | str] = MappingProxyType({"expires_at": 0, "owner": ""})  # sorted before what there is
KEPT_S = 48 * 3600  # how long a finished task is shown. Source: Glance's task_time_to_live


class TaskNotFound(NotFound):
    """There is no such task, or it is not the caller's to see."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task not found for task_id {task_id[:80]}")
        self.task_id = task_id


class TaskMarkerNotFound(Invalid):
    """A page was asked to begin after a task that is not there."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task not found for task_id {task_id[:80]}: the marker must be a task that the list may show")
        self.task_id = task_id


class TaskStatusConflict(Conflict):
    """A task may not move between these two states."""

    def __init__(self, task_id: str, now: str, wanted: str) -> None:
        super().__init__(f"Status transition from {now} to {wanted} is not allowed (task {task_id})")
        self.task_id, self.now, self.wanted = task_id, now, wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. A change makes a new one; the old one stays as it was."""

    id: str
    type: str  # import, api_image_import or location_import
    created_at: int  # microseconds since 1970, UTC
    updated_at: int
    status: TaskStatus = TaskStatus.PENDING
    owner: str | None = None  # project id
    user_id: str | None = None
    image_id: str | None = None
    request_id: str | None = None  # of the request that began it
    input: Mapping[str, Any] = field(default_factory=dict)  # what it was asked to do; users see it
    result: Mapping[str, Any] | None = None
    message: str = ""  # mostly why it failed
    expires_at: int | None = None  # when it may be forgotten; None while it goes on

    def moved_to(self, status: TaskStatus, now: int, *, kept_s: int = KEPT_S, **more: Any) -> Task:
        """Return this task in ``status``, with ``result`` or ``message`` where they are given.

        Args:
            kept_s: How long it is shown when it is over.

        Raises:
            TaskStatusConflict: A task has no move from the present status to ``status``.
        """
        if status not in MOVES[self.status]:
            raise TaskStatusConflict(self.id, self.status, status)
        expires_at = None if status in UNFINISHED else now + kept_s * 1_000_000
        return replace(self, status=status, updated_at=now, expires_at=expires_at, **more)


def new_task(caller: Caller, kind: str, asked: Mapping[str, Any], *, now: int, image_id: str | None = None) -> Task:
    """Return a task of the caller's, of the type ``kind``, that waits."""
    return Task(
        id=str(uuid.uuid4()),
        type=kind,
        created_at=now,
        updated_at=now,
        owner=caller.project_id,
        user_id=caller.user_id,
        image_id=image_id,
        request_id=caller.request_id,
        input=asked,
    )


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


# --- Inside a transaction -------------------------------------------------------------------------


def enter(connection: Connection, task: Task) -> None:
    """Keep a new task, inside the transaction that enters its job."""
    connection.execute(insert(tables.tasks), _row(task))


def is_busy(connection: Connection, image_id: str) -> bool:
    """Return whether a task that is not finished works on the image."""
    table = tables.tasks
    query = select(table.c.id).where(table.c.image_id == image_id, table.c.status.in_(sorted(UNFINISHED)))
    return connection.execute(query.limit(1)).first() is not None


def moved(connection: Connection, task_id: str, status: TaskStatus, now: int, **more: Any) -> Task:
    """Move a task on, with its ``result`` or ``message``, and return it.

    One that is in ``status`` already stays as it is: what moves it may run twice.

    Raises:
        TaskNotFound, TaskStatusConflict: As their names say.
    """
    row = connection.execute(select(tables.tasks).where(tables.tasks.c.id == task_id).with_for_update()).first()
    if row is None:
        raise TaskNotFound(task_id)
    before = _task(row)
    if before.status is status:
        return before
    after = before.moved_to(status, now, **more)
    connection.execute(update(tables.tasks).where(tables.tasks.c.id == task_id).values(_row(after)))
    return after


class Tasks:
    """All tasks of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, task: Task) -> None:
        """Keep a new task that no transaction of another use case keeps."""
        self._database.write(lambda connection: enter(connection, task))

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
        return self._database.write(lambda connection: moved(connection, task_id, status, now, **more))

    def forget_expired(self, now: int) -> int:
        """Forget the tasks that were shown long enough, and return how many."""
        statement = delete(tables.tasks).where(tables.tasks.c.expires_at < now)
        return self._database.write(lambda connection: connection.execute(statement).rowcount)


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
