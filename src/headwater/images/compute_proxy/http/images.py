"""Handlers for images and their metadata as the Compute API has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.compute_proxy import metadata
from headwater.images.compute_proxy.http import lists
from headwater.images.compute_proxy.http.documents import brief_document, image_document
from headwater.images.compute_proxy.http.places import Place
from headwater.images.compute_proxy.metadata import Metadata
from headwater.images.model import Image
from headwater.images.service import Images
from headwater.threads import Pool


class ImageHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, images: Images, catalogue_calls: Pool, endpoint: Endpoint) -> None:
        self._images = images
        self._calls = catalogue_calls
        self._endpoint = endpoint

    async def index(self, request: Request) -> Response:
        return await self._list(request, "images", brief_document)

    async def detail(self, request: Request) -> Response:
        return await self._list(request, "images/detail", image_document)

    async def show(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        image = await self._calls.run(lambda: self._images.get(caller, image_id))
        return json_answer({"image": image_document(image, Place.of(request, self._endpoint))})

    async def delete(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._images.delete(caller, image_id))
        return Response(status_code=204)

    async def _list(self, request: Request, path: str, document: Callable[[Image, Place], dict[str, Any]]) -> Response:
        query = lists.query(request.query_params.multi_items(), self._images.settings)
        caller, place = requests.caller(request), Place.of(request, self._endpoint)
        found: Listed[Image] = await self._calls.run(lambda: self._images.page(caller, query))
        answer: dict[str, Any] = {"images": [document(each, place) for each in found]}
        if found and (found.is_cut or len(found) == query.limit):
            parameters = [each for each in request.query_params.multi_items() if each[0] != "marker"]
            following = urlencode([*parameters, ("marker", found[-1].id)])
            answer["images_links"] = [{"rel": "next", "href": f"{place.versioned}/{path}?{following}"}]
        return json_answer(answer)


class MetadataHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, items: Metadata, catalogue_calls: Pool) -> None:
        self._items = items
        self._calls = catalogue_calls

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        return json_answer({"metadata": await self._calls.run(lambda: self._items.all(caller, image_id))})

    async def merge(self, request: Request) -> Response:
        items = metadata.read_all(await requests.json_object(request))
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        return json_answer({"metadata": await self._calls.run(lambda: self._items.merge(caller, image_id, items))})

    async def replace(self, request: Request) -> Response:
        items = metadata.read_all(await requests.json_object(request))
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        return json_answer({"metadata": await self._calls.run(lambda: self._items.replace(caller, image_id, items))})

    async def show(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        key = request.path_params["key"]
        return json_answer({"meta": {key: await self._calls.run(lambda: self._items.item(caller, image_id, key))}})

    async def put(self, request: Request) -> Response:
        item = metadata.read_item(await requests.json_object(request), request.path_params["key"])
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._items.merge(caller, image_id, item))
        return json_answer({"meta": item})

    async def remove(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        key = request.path_params["key"]
        await self._calls.run(lambda: self._items.remove(caller, image_id, key))
        return Response(status_code=204)
