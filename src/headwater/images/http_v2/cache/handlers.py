"""Handlers for the cache of this machine."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.cache.keeping import CacheService, InCache
from headwater.threads import Pool


class CacheHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, cache: CacheService, calls: Pool) -> None:
        self._cache = cache
        self._calls = calls

    async def index(self, request: Request) -> Response:
        caller = requests.caller(request)
        cached, queued = await self._calls.run(lambda: self._cache.state(caller))
        return json_answer({"cached_images": [_document(each) for each in cached], "queued_images": queued})

    async def queue(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._cache.queue(caller, image_id))
        return Response(status_code=202)

    async def delete(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._cache.delete(caller, image_id))
        return Response(status_code=204)

    async def clear(self, request: Request) -> Response:
        caller, target = requests.caller(request), request.headers.get("x-image-cache-clear-target")
        await self._calls.run(lambda: self._cache.clear(caller, target))
        return Response(status_code=204)

    async def nodes(self, request: Request) -> Response:
        caller = requests.caller(request)
        return json_answer(await self._calls.run(lambda: self._cache.nodes(caller)))

    async def clean(self, request: Request) -> Response:
        caller = requests.caller(request)
        await self._calls.run(lambda: self._cache.clean(caller))
        return Response(status_code=200)

    async def prune(self, request: Request) -> Response:
        caller = requests.caller(request)
        removed = await self._calls.run(lambda: self._cache.prune(caller))
        return json_answer({"total_files_pruned": removed.files, "total_bytes_pruned": removed.bytes})


def _document(found: InCache) -> dict[str, Any]:
    cached = found.cached
    return {
        "id": cached.name,
        "image_id": cached.image_id,
        "last_accessed": cached.last_accessed,
        "last_modified": cached.last_modified,
        "size": cached.size,
        "hits": cached.hits,
        "checksum": found.checksum,
    }
