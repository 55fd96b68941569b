"""Handlers for the members of an image in the API v1."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.v1.sharing import SharingV1
from headwater.threads import Pool


class MemberHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, sharing: SharingV1, catalogue_calls: Pool) -> None:
        self._sharing = sharing
        self._calls = catalogue_calls

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._calls.run(lambda: self._sharing.members(caller, image_id))
        return json_answer({"members": [{"member_id": each.member, "can_share": each.can_share} for each in found]})

    async def replace(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._sharing.replace(caller, image_id, document))
        return Response(status_code=204)

    async def put(self, request: Request) -> Response:
        has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
        document: Any = await requests.json_object(request) if has_body else None
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        member = request.path_params["member"]
        await self._calls.run(lambda: self._sharing.put(caller, image_id, member, document))
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        member = request.path_params["member"]
        await self._calls.run(lambda: self._sharing.remove(caller, image_id, member))
        return Response(status_code=204)

    async def shared(self, request: Request) -> Response:
        caller, member = requests.caller(request), request.path_params["member"]
        found = await self._calls.run(lambda: self._sharing.shared_with(caller, member))
        return json_answer(
            {"shared_images": [{"image_id": each.image_id, "can_share": each.can_share} for each in found]}
        )
