"""Handlers for secret paths to what projects see."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.images.sharing.private_paths import BELOW, PrivatePaths
from headwater.threads import Pool


class PrivatePathHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, paths: PrivatePaths, catalogue_calls: Pool, endpoint: Endpoint) -> None:
        self._paths = paths
        self._calls = catalogue_calls
        self._endpoint = endpoint

    async def create(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller = requests.caller(request)
        path, secret = await self._calls.run(lambda: self._paths.create(caller, document))
        url = f"{self._endpoint.of(request)}{BELOW}/{secret.get_secret_value()}"
        # No cache on the way keeps a secret.
        return json_answer({**path.to_dict(), "url": url}, 201, {"Cache-Control": "no-store"})

    async def index(self, request: Request) -> Response:
        caller = requests.caller(request)
        found = await self._calls.run(lambda: self._paths.list(caller))
        return json_answer({"paths": [each.to_dict() for each in found]})

    async def show(self, request: Request) -> Response:
        caller, path_id = requests.caller(request), request.path_params["path_id"]
        return json_answer((await self._calls.run(lambda: self._paths.get(caller, path_id))).to_dict())

    async def revoke(self, request: Request) -> Response:
        caller, path_id = requests.caller(request), request.path_params["path_id"]
        await self._calls.run(lambda: self._paths.revoke(caller, path_id))
        return Response(status_code=204)
