"""Handlers of where data lies: the stores, and the locations of one image (2.17) for services and for its owner."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.imports.location_import import LocationImport
from headwater.images.locations.service import Locations
from headwater.images.service import Images
from headwater.threads import Pool


class LocationHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, locations: Locations, imports: LocationImport, catalogue_calls: Pool, web: Pool) -> None:
        self._locations = locations
        self._imports = imports
        self._calls = catalogue_calls
        self._web = web

    async def index(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._calls.run(lambda: self._locations.of_image(caller, image_id))
        return json_answer(found)

    async def add(self, request: Request) -> Response:
        document = await requests.json_object(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._web.run(lambda: self._imports.begin(caller, image_id, document))  # names are resolved
        return Response(status_code=202)


class StoreHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, images: Images, catalogue_calls: Pool) -> None:
        self._images = images
        self._calls = catalogue_calls

    async def index(self, request: Request) -> Response:
        requests.caller(request)
        return json_answer({"stores": self._images.stores()})

    async def detail(self, request: Request) -> Response:
        caller = requests.caller(request)
        return json_answer({"stores": await self._calls.run(lambda: self._images.stores_in_detail(caller))})

    async def remove_copy(self, request: Request) -> Response:
        caller, named = requests.caller(request), request.path_params
        await self._calls.run(lambda: self._images.remove_copy(caller, named["image_id"], named["store"]))
        return Response(status_code=204)
