"""The handler of an image's tasks: what goes on, or went on, behind it.

Source: Glance answers with the rows of its database, so times have microseconds here and no ``Z``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.tasks import Tasks
from headwater.images.task import Task
from headwater.threads import Pool

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ImageTaskHandlers:
    """Requests in, answers out."""

    def __init__(self, access: Access, tasks: Tasks, catalogue_calls: Pool) -> None:
        self._access = access
        self._tasks = tasks
        self._calls = catalogue_calls

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        body = await self._calls.run(lambda: self._page(caller, image_id))
        return Response(body, media_type="application/json")

    def _page(self, caller: Caller, image_id: str) -> bytes:
        image = self._access.visible(caller, image_id)
        return msgspec.json.encode({"tasks": [_document(task) for task in self._tasks.of_image(image.id)]})


def _document(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "expires_at": None if task.expires_at is None else _time(task.expires_at),
        "created_at": _time(task.created_at),
        "updated_at": _time(task.updated_at),
        "deleted": False,
        "deleted_at": None,
        "image_id": task.image_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "input": task.input,
        "result": task.result,
        "message": task.message,
    }


def _time(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f")
