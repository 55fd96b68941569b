"""Handlers for tasks: those that callers began (``/tasks``), and those of an image (``/images/ID/tasks``)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.clock import timestamp
from headwater.http import paging, requests
from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.http.paging import BadQuery
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.lists.pages import goes_on
from headwater.images.catalogue.tasks import SORT_KEYS, TaskQuery, TaskRows, place
from headwater.images.imports.service import Imports
from headwater.images.imports.task_service import TaskService
from headwater.images.settings import ImagesSettings
from headwater.images.task import Task, TaskStatus
from headwater.threads import Pool

_OF_LISTS = frozenset({"type", "status", "sort_key", "sort_dir", "marker", "after", "limit"})  # of one value each
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TaskHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(
        self, tasks: TaskService, settings: ImagesSettings, catalogue_calls: Pool, web: Pool, endpoint: Endpoint
    ) -> None:
        self._tasks = tasks
        self._settings = settings
        self._calls = catalogue_calls
        self._web = web
        self._endpoint = endpoint

    async def create(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller = requests.caller(request)
        task = await self._web.run(lambda: self._tasks.create(caller, document))  # names are resolved
        place = f"{self._endpoint.of(request)}/v2/tasks/{task.id}"
        return json_answer(task_document(task), 201, {"Location": place})

    async def index(self, request: Request) -> Response:
        parameters = request.query_params.multi_items()
        query = list_query(paging.once(parameters, _OF_LISTS), self._settings)
        caller = requests.caller(request)
        found = await self._calls.run(lambda: self._tasks.page(caller, query))
        others = [(name, value) for name, value in parameters if name not in ("marker", "after")]
        document: dict[str, Any] = {
            "tasks": [listed_document(task) for task in found],
            "first": _link(others),
            "schema": "/v2/schemas/tasks",
        }
        if goes_on(found, query.limit):
            after = str(place(found[-1], query.sort_key))
            document["next"] = _link([("marker", found[-1].id), ("after", after), *others])
        return json_answer(document)

    async def show(self, request: Request) -> Response:
        caller, task_id = requests.caller(request), request.path_params["task_id"]
        return json_answer(task_document(await self._calls.run(lambda: self._tasks.get(caller, task_id))))


class ImageTaskHandlers:
    """What goes on, or went on, behind one image."""

    def __init__(self, access: Access, tasks: TaskRows, imports: Imports, catalogue_calls: Pool) -> None:
        self._access = access
        self._tasks = tasks
        self._imports = imports
        self._calls = catalogue_calls

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        body = await self._calls.run(lambda: self._page(caller, image_id))
        return Response(body, media_type="application/json")

    async def cancel(self, request: Request) -> Response:
        caller, names = requests.caller(request), request.path_params
        await self._calls.run(lambda: self._imports.cancel(caller, names["image_id"], names["task_id"]))
        return Response(status_code=202)

    def _page(self, caller: Caller, image_id: str) -> bytes:
        image = self._access.visible(caller, image_id)
        return msgspec.json.encode({"tasks": [_entry(task) for task in self._tasks.of_image(image.id)]})


class ImportHandlers:
    """Imports: what is offered, and how one is begun."""

    def __init__(self, imports: Imports, web: Pool) -> None:
        self._imports = imports
        self._web = web

    async def begin(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        store = request.headers.get("x-image-meta-store")
        await self._web.run(lambda: self._imports.begin(caller, image_id, document, store))  # names are resolved
        return Response(status_code=202)

    async def methods(self, _request: Request) -> Response:
        offered = {"description": "Import methods available.", "type": "array", "value": self._imports.methods}
        return json_answer({"import-methods": offered})


def list_query(given: Mapping[str, str], settings: ImagesSettings) -> TaskQuery:
    """Read the query parameters of a list; others than those of a list of tasks say nothing.

    Raises:
        BadQuery: A parameter has a value that it cannot have; the message names both.
    """
    kind, status = given.get("type"), given.get("status")
    if kind is not None and kind != "import":
        raise BadQuery(f"Invalid type value: {kind[:40]}. Tasks are listed by the type import.")
    if status is not None and status not in list(TaskStatus):
        raise BadQuery(f"Invalid status value: {status[:40]}. It must be one of: {', '.join(TaskStatus)}.")
    key, direction = given.get("sort_key", "created_at"), given.get("sort_dir", "desc")
    if key not in SORT_KEYS:
        raise BadQuery(f"Invalid sort key: {key[:40]}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    if direction not in ("asc", "desc"):
        raise BadQuery(f"Invalid sort direction: {direction[:40]}. It must be one of the following: asc, desc.")
    return TaskQuery(
        type=kind,
        status=status,
        sort_key=key,
        sort_dir="asc" if direction == "asc" else "desc",
        marker=paging.marker(given.get("marker")),
        after=paging.place(given.get("after"), key),
        limit=paging.page_limit(given.get("limit"), default=settings.limit_default, most=settings.limit_max),
    )


def task_document(task: Task) -> dict[str, Any]:
    """Return a task as the JSON object of the API."""
    return {**listed_document(task), "input": task.input, "result": task.result, "message": task.message}


def listed_document(task: Task) -> dict[str, Any]:
    """Return what a list tells of a task: what may be long is left out."""
    document: dict[str, Any] = {
        "id": task.id,
        "type": task.type,
        "status": task.status.value,
        "owner": task.owner,
        "created_at": timestamp(task.created_at),
        "updated_at": timestamp(task.updated_at),
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
        "request_id": task.request_id,
        "user_id": task.user_id,
    }
    if task.image_id is not None:
        document["image_id"] = task.image_id
    if task.expires_at is not None:
        document["expires_at"] = timestamp(task.expires_at)
    return document


def _entry(task: Task) -> dict[str, Any]:
    """Return what the list of an image's tasks has of one.

    Source: Glance answers with the rows of its database, so times have microseconds here and no ``Z``.
    """
    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "expires_at": None if task.expires_at is None else _microseconds(task.expires_at),
        "created_at": _microseconds(task.created_at),
        "updated_at": _microseconds(task.updated_at),
        "deleted": False,
        "deleted_at": None,
        "image_id": task.image_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "progress": _progress(task),
    }


def _progress(task: Task) -> dict[str, int | None] | None:
    """Return how far a task is, which Glance does not tell; ``None`` where nobody counts."""
    return None if task.bytes_done is None else {"bytes": task.bytes_done, "of": task.bytes_total}


def _microseconds(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _link(parameters: list[tuple[str, str]]) -> str:
    return f"/v2/tasks?{urlencode(parameters, quote_via=quote)}" if parameters else "/v2/tasks"
