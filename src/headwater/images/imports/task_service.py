"""The Tasks API: begin work that goes on after the answer, and see what became of it.

Only ``import`` is begun here: an image is entered, queued, together with the task and the job that copies its data
from a URL. Tasks of other types are begun by what they belong to and shown here.
Source: the Image API of OpenStack (Glance 33), section 8; OSSN-0105 (the URL is judged like any other).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.fetching.url_filter import UrlRefused
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue import tasks
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.tasks import TaskQuery, TaskRows
from headwater.images.catalogue.transaction import Step
from headwater.images.imports.web_copy import Order, WebCopy
from headwater.images.model import Image, Status
from headwater.images.service import Images
from headwater.images.task import Task, TaskMarkerNotFound, TaskNotFound, TaskStatus, new_task

TYPES = ("import", "api_image_import", "location_import")


class BadTask(Invalid):
    """What was asked for is no task that could be begun."""


class TaskUrlRefused(Invalid):
    """The URL of an import is not fetched."""

    def __init__(self, refused: UrlRefused) -> None:
        super().__init__(f"URI for legacy import task does not pass filtering: {refused}")


class TaskService:
    """The use cases; safe to use from several threads."""

    def __init__(
        self, kept: TaskRows, access: Access, images: Images, web_copy: WebCopy, *, task_kept_s: int, clock: Clock = now
    ) -> None:
        """Take what they work on.

        Args:
            task_kept_s: How long a task that is over is shown.
        """
        self._tasks = kept
        self._access = access
        self._images = images
        self._web_copy = web_copy
        self._task_kept_s = task_kept_s
        self._clock = clock

    def create(self, caller: Caller, document: Mapping[str, Any]) -> Task:
        """Begin the task that ``document`` describes: ``type`` and ``input``.

        Raises:
            Forbidden: The caller may not use tasks, or not create this image.
            BadTask, TaskUrlRefused, SchemaViolation, …: It cannot be begun; nothing was entered.
        """
        self._require(caller, "add_task")
        for name in ("type", "input"):
            if document.get(name) is None:
                raise BadTask(f"Task '{name}' is required")
        kind, asked = document["type"], document["input"]
        if kind not in TYPES:
            raise BadTask(f"Invalid task type {str(kind)[:40]!r}: it must be one of {', '.join(TYPES)}")
        if not isinstance(asked, dict):
            raise BadTask("Task 'input' must be an object")
        if kind == "import":
            return self._import(caller, asked)
        return self._refused(new_task(caller, kind, asked, now=self._clock()))

    def get(self, caller: Caller, task_id: str) -> Task:
        """Return one task or raise ``TaskNotFound``."""
        self._require(caller, "get_task")
        task = self._tasks.get(task_id)
        if not self._sees(caller, task):
            raise TaskNotFound(task_id)
        return task

    def page(self, caller: Caller, query: TaskQuery) -> Listed[Task]:
        """Return one page of the caller's tasks; to an admin, of everybody's.

        Raises:
            TaskMarkerNotFound: The marker is no task that the list may show, and the query does not say where it was.
        """
        self._require(caller, "get_tasks")
        if query.marker is not None:
            query = replace(query, after=self._marked(caller, query.marker, query))
        if query.limit == 0:
            return Listed()
        if self._access.is_admin(caller):
            return self._tasks.page(query)
        return self._tasks.page(replace(query, owner=caller.project_id)) if caller.project_id is not None else Listed()

    def _marked(self, caller: Caller, marker: str, query: TaskQuery) -> int | str:
        """Return where the marker stands: it may have been forgotten since the page that ended with it."""
        try:
            task = self._tasks.get(marker)
            if self._sees(caller, task):
                return tasks.place(task, query.sort_key)
        except TaskNotFound:
            pass
        if query.after is None:
            raise TaskMarkerNotFound(marker)
        return query.after

    def forget_expired(self) -> int:
        """Forget the tasks that were shown long enough, and return how many."""
        return self._tasks.forget_expired(self._clock())

    def _import(self, caller: Caller, asked: Mapping[str, Any]) -> Task:
        url, properties = _read(asked)
        self._access.require_rule("modify_task", caller)  # it goes on without another word of the caller
        try:
            self._web_copy.require(url)
        except UrlRefused as error:
            raise TaskUrlRefused(error) from error
        # Whoever sees the image sees its tasks, and a query may hold a signature.
        told = {**asked, "import_from": re.split(r"[?#]", url, maxsplit=1)[0]}
        task = new_task(caller, "import", told, now=self._clock())

        def also(image: Image) -> tuple[Step[None], Step[str]]:
            order = Order(image_id=image.id, url=url, caller=caller, task_id=task.id, failed=Status.QUEUED)
            return tasks.entered(replace(task, image_id=image.id)), self._web_copy.entered(order)

        image = self._images.create(caller, properties, also=also)
        return replace(task, image_id=image.id)

    def _refused(self, task: Task) -> Task:
        """Keep a task that nobody can begin like this. Source: Glance takes it, and then it fails."""
        over = task.moved_to(
            TaskStatus.FAILURE,
            self._clock(),
            kept_s=self._task_kept_s,
            message=f"a task of type {task.type} is begun by a call for its image, not here",
        )
        self._tasks.add(over)
        return task

    def _sees(self, caller: Caller, task: Task) -> bool:
        return self._access.manages(caller, task.owner)

    def _require(self, caller: Caller, rule: str) -> None:
        self._access.require_rule("tasks_api_access", caller)
        self._access.require_rule(rule, caller)


def _read(asked: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the URL and the image that an import's input names."""
    for name, kind in (("import_from", str), ("import_from_format", str), ("image_properties", dict)):
        if name not in asked:
            raise BadTask(f"Input does not contain '{name}' field")
        if not isinstance(asked[name], kind):
            raise BadTask(f"'{name}' must be {'a string' if kind is str else 'an object'}")
    url = asked["import_from"]
    if url.lower().startswith(("file:", "filesystem:")):
        raise BadTask("File based imports are not allowed. Please use a non-local source of image data.")
    properties = {"disk_format": asked["import_from_format"], "container_format": "bare", **asked["image_properties"]}
    return url, properties
