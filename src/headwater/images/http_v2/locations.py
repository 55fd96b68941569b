"""Handlers of the locations API (2.17): where the data of one image lies, for services and for the image's owner."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.images.imports.location_import import LocationImport
from headwater.images.locations.service import Locations
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
