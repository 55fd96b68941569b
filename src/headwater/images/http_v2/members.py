"""Handlers for the members of an image."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headwater.clock import timestamp
from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.member import Member
from headwater.images.sharing.service import Sharing
from headwater.threads import Pool


class MemberHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, sharing: Sharing, catalogue_calls: Pool) -> None:
        self._sharing = sharing
        self._calls = catalogue_calls

    async def add(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        return json_answer(
            member_document(await self._calls.run(lambda: self._sharing.add(caller, image_id, document)))
        )

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._calls.run(lambda: self._sharing.list(caller, image_id))
        return json_answer({"members": [member_document(each) for each in found], "schema": "/v2/schemas/members"})

    async def show(self, request: Request) -> Response:
        caller, image_id, member = _named(request)
        return json_answer(member_document(await self._calls.run(lambda: self._sharing.get(caller, image_id, member))))

    async def update(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller, image_id, member = _named(request)
        changed = await self._calls.run(lambda: self._sharing.answer(caller, image_id, member, document))
        return json_answer(member_document(changed))

    async def remove(self, request: Request) -> Response:
        caller, image_id, member = _named(request)
        await self._calls.run(lambda: self._sharing.remove(caller, image_id, member))
        return Response(status_code=204)


def member_document(member: Member) -> dict[str, Any]:
    """Return a member as the JSON object of the API."""
    return {
        "member_id": member.member,
        "image_id": member.image_id,
        "status": member.status.value,
        "created_at": timestamp(member.created_at),
        "updated_at": timestamp(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def _named(request: Request) -> tuple[Any, str, str]:
    return requests.caller(request), request.path_params["image_id"], request.path_params["member"]
