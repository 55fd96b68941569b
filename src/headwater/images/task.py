"""Tasks: what users are told of work that goes on after their request was answered.

A task says how far the work is and what came of it; the work itself is a job (``headwater/jobs``), entered in the same
transaction. Source of the rules: the Image API of OpenStack (Glance 33), sections 7.4, 8 and 16.1.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from headwater.errors import Conflict, Invalid, NotFound
from headwater.identity.caller import Caller


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


class ImageBusy(Conflict):
    """A task works on this image already."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image has active task: wait until it ends (image {image_id})")
        self.image_id = image_id


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
    bytes_done: int | None = None  # how far it is; None: nobody counts
    bytes_total: int | None = None

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


class TaskOver(Conflict):
    """A task that has ended cannot be cancelled."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"The task {task.id} is {task.status.value}: only one that goes on can be cancelled")
        self.task_id, self.status = task.id, task.status


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
