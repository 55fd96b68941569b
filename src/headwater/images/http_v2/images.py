"""Handlers for images: create, list, show, update, delete, tags, actions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import UnsupportedMedia
from headwater.http import requests, structured
from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.identity.caller import Caller
from headwater.images import attributes
from headwater.images.catalogue.lists.pages import goes_on
from headwater.images.catalogue.lists.query import Query
from headwater.images.creation import ImageCreation
from headwater.images.http.paths import NoSuchPath
from headwater.images.http_v2 import list_query
from headwater.images.http_v2.documents import image_document
from headwater.images.model import Image
from headwater.images.retention.newest import Newest
from headwater.images.service import Images
from headwater.threads import Pool


class PatchMediaType(UnsupportedMedia):
    """A patch in a form that is not known; the answer names those that are."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"Unsupported Content-Type {given[:80]!r} for a change of an image: "
            f"use {attributes.V21} or {attributes.V20}"
        )
        self.headers = {"Accept-Patch": f"{attributes.V20}, {attributes.V21}"}


class ImageHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(
        self, images: Images, creation: ImageCreation, catalogue_calls: Pool, web: Pool, endpoint: Endpoint
    ) -> None:
        """Take the use cases and the threads to call them in.

        Args:
            web: Waits for web servers of others, which may be slow.
            endpoint: Where clients reach the service.
        """
        methods = images.settings.import_methods
        self._offers = {"OpenStack-image-import-methods": ",".join(methods)} if methods else {}
        self._images = images
        self._newest = Newest(images)
        self._creation = creation
        self._calls = catalogue_calls
        self._web = web
        self._endpoint = endpoint

    async def create(self, request: Request) -> Response:
        key = structured.idempotency_key(request.headers)
        document = await requests.json_object(request)
        caller = requests.caller(request)
        image, answer = await self._calls.run(
            lambda: self._document(caller, self._creation.create(caller, document, key))
        )
        headers = {"Location": f"{self._endpoint.of(request)}/v2/images/{image.id}", **self._offers}
        if self._images.known_stores.are_several:
            headers["OpenStack-image-store-ids"] = ",".join(self._images.known_stores.names)
        return json_answer(answer, 201, headers)

    async def index(self, request: Request) -> Response:
        parameters = request.query_params.multi_items()
        query = list_query.list_query(parameters, self._images.settings)
        caller = requests.caller(request)
        body = await self._calls.run(lambda: self._page(caller, query, parameters))
        return Response(body, media_type="application/json")

    def _page(self, caller: Caller, query: Query, parameters: list[tuple[str, str]]) -> bytes:
        found = self._images.page(caller, query)
        located = self._images.location_attributes(caller, found)
        document: dict[str, Any] = {
            "images": [{**image_document(image), **located.get(image.id, {})} for image in found]
            if located
            else [image_document(image) for image in found],
            "first": _link([(name, value) for name, value in parameters if name != "marker"]),
            "schema": "/v2/schemas/images",
        }
        if goes_on(found, query.limit):
            others = [(name, value) for name, value in parameters if name != "marker"]
            document["next"] = _link([("marker", found[-1].id), *others])
        return msgspec.json.encode(document)

    async def show(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        image, located = await self._calls.run(lambda: self._images.show(caller, image_id))
        return json_answer({**image_document(image), **located})

    async def newest(self, request: Request) -> Response:
        return await self._to_newest(request, "")

    async def newest_data(self, request: Request) -> Response:
        return await self._to_newest(request, "/file")

    async def _to_newest(self, request: Request, below: str) -> Response:
        """Lead to an image: what is asked for there goes on being of this one when a newer one comes."""
        query = list_query.newest_query(request.query_params.multi_items(), self._images.settings)
        caller = requests.caller(request)
        image = await self._calls.run(lambda: self._newest.find(caller, query))
        there = f"{self._endpoint.of(request)}/v2/images/{image.id}{below}"
        return Response(status_code=307, headers={"Location": there, "Cache-Control": "no-store"})

    def _document(self, caller: Caller, image: Image) -> tuple[Image, dict[str, Any]]:
        located = self._images.location_attributes(caller, [image])
        return image, {**image_document(image), **located.get(image.id, {})}

    async def update(self, request: Request) -> Response:
        media_type = requests.media_type(request)
        if media_type not in (attributes.V20, attributes.V21):
            raise PatchMediaType(media_type)
        operations = await requests.json_body(request, lambda body: attributes.operations(media_type, body))
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        pool = self._web if any(operation.name == "locations" for operation in operations) else self._calls
        _, answer = await pool.run(lambda: self._document(caller, self._images.patch(caller, image_id, operations)))
        _echo_validation(answer, operations)
        return json_answer(answer)

    async def delete(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: self._images.delete(caller, image_id))
        return Response(status_code=204)

    async def add_tag(self, request: Request) -> Response:
        caller, image_id, tag = requests.caller(request), request.path_params["image_id"], request.path_params["tag"]
        await self._calls.run(lambda: self._images.add_tag(caller, image_id, tag))
        return Response(status_code=204)

    async def remove_tag(self, request: Request) -> Response:
        caller, image_id, tag = requests.caller(request), request.path_params["image_id"], request.path_params["tag"]
        await self._calls.run(lambda: self._images.remove_tag(caller, image_id, tag))
        return Response(status_code=204)

    async def act(self, request: Request) -> Response:
        actions = {"deactivate": self._images.deactivate, "reactivate": self._images.reactivate}
        action = actions.get(request.path_params["action"])
        if action is None:
            raise NoSuchPath
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        await self._calls.run(lambda: action(caller, image_id))
        return Response(status_code=204)


def _echo_validation(document: dict[str, Any], operations: list[attributes.Operation]) -> None:
    """Source: Glance says in its answer to a patch, and nowhere else, what it was told to validate."""
    for operation in operations:
        if operation.name == "locations" and operation.op != "remove":
            given = operation.value if isinstance(operation.value, list) else [operation.value]
            told = {each["url"]: each["validation_data"] for each in given if "validation_data" in each}
            for location in document.get("locations", ()):
                if location["url"] in told:
                    location["validation_data"] = told[location["url"]]


def _link(parameters: list[tuple[str, str]]) -> str:
    # Repeated parameters stay repeated: two tags must still be two tags on the next page.
    return f"/v2/images?{urlencode(parameters, quote_via=quote)}" if parameters else "/v2/images"
