"""Handlers and routes of metadata definitions: ``/v2/metadefs/…``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from headwater.http import paging
from headwater.http.answers import json_answer
from headwater.http.endpoint import Endpoint
from headwater.http.paging import BadQuery, clipped_limit
from headwater.http.requests import caller, json_object
from headwater.identity.caller import Caller
from headwater.images.http.paths import IMAGE_API
from headwater.images.http_v2.metadefs import documents
from headwater.images.metadefs.catalogue import SORT_KEYS, Query, place
from headwater.images.metadefs.model import NamespaceVisibility
from headwater.images.metadefs.paging import BadSortKey, PageOfParts
from headwater.images.metadefs.service import Metadefs
from headwater.threads import Pool

T = TypeVar("T")

LIMIT_DEFAULT, LIMIT_MAX = 25, 1000
_OF_LISTS = frozenset(
    {"limit", "marker", "after", "sort_key", "sort_dir", "visibility", "owner", "resource_types"}  # of one value each
)
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})


def routes(service: Metadefs, calls: Pool, endpoint: Endpoint) -> list[BaseRoute]:
    """Return the routes below the version, to be tried in their order."""
    on = MetadefHandlers(service, calls, endpoint)
    route = IMAGE_API.route
    one = "/metadefs/namespaces/{namespace}"
    return [
        route("/metadefs/resource_types", GET=on.resource_types),
        route("/metadefs/namespaces", GET=on.namespaces, POST=on.create_namespace),
        route(one, GET=on.namespace, PUT=on.replace_namespace, DELETE=on.delete_namespace),
        route(f"{one}/resource_types", GET=on.associations, POST=on.associate),
        route(f"{one}/resource_types/{{name}}", DELETE=on.dissociate),
        route(f"{one}/properties", GET=on.properties, POST=on.add_property, DELETE=on.delete_properties),
        route(f"{one}/properties/{{name}}", GET=on.property, PUT=on.replace_property, DELETE=on.delete_property),
        route(f"{one}/objects", GET=on.objects, POST=on.add_object, DELETE=on.delete_objects),
        route(f"{one}/objects/{{name}}", GET=on.object, PUT=on.replace_object, DELETE=on.delete_object),
        route(f"{one}/tags", GET=on.tags, POST=on.set_tags, DELETE=on.delete_tags),
        route(f"{one}/tags/{{name}}", GET=on.tag, POST=on.add_tag, PUT=on.rename_tag, DELETE=on.delete_tag),
    ]


class MetadefHandlers:
    """Requests in, use cases called, answers out."""

    def __init__(self, service: Metadefs, calls: Pool, endpoint: Endpoint) -> None:
        self._metadefs = service
        self._calls = calls
        self._endpoint = endpoint

    # --- Namespaces ------------------------------------------------------------------------------

    async def namespaces(self, request: Request) -> Response:
        parameters = request.query_params.multi_items()
        query = namespace_query(parameters)
        found, marker = await self._calls.run(lambda: self._metadefs.namespaces(caller(request), query))
        others = [(name, value) for name, value in parameters if name not in ("marker", "after")]
        document: dict[str, Any] = {
            "namespaces": [documents.namespace_document(each) for each in found],
            "first": _link(others),
            "schema": "/v2/schemas/metadefs/namespaces",
        }
        if marker is not None:
            after = str(place(marker, query.sort_key))
            document["next"] = _link([*others, ("marker", marker.namespace), ("after", after)])
        return json_answer(document)

    async def create_namespace(self, request: Request) -> Response:
        body = await json_object(request)
        made = await self._calls.run(lambda: self._metadefs.create_namespace(caller(request), body))
        location = f"{self._endpoint.of(request)}{documents.namespace_path(made.namespace)}"
        return json_answer(documents.whole_namespace_document(made), 201, {"Location": location})

    async def namespace(self, request: Request) -> Response:
        return await self._told(
            request,
            lambda caller, name: self._metadefs.namespace(caller, name, _resource_type(request)),
            documents.whole_namespace_document,
        )

    async def replace_namespace(self, request: Request) -> Response:
        body = await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.replace_namespace(caller, name, body),
            documents.namespace_document,
        )

    async def delete_namespace(self, request: Request) -> Response:
        return await self._done(request, self._metadefs.delete_namespace)

    # --- Resource types --------------------------------------------------------------------------

    async def resource_types(self, request: Request) -> Response:
        found = await self._calls.run(lambda: self._metadefs.resource_types(caller(request)))
        return json_answer(documents.resource_types_document(found))

    async def associations(self, request: Request) -> Response:
        return await self._told(request, self._metadefs.associations, documents.associations_document)

    async def associate(self, request: Request) -> Response:
        body = await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.associate(caller, name, body),
            documents.association_document,
            201,
        )

    async def dissociate(self, request: Request) -> Response:
        return await self._done_to(request, self._metadefs.dissociate)

    # --- Properties ------------------------------------------------------------------------------

    async def properties(self, request: Request) -> Response:
        return await self._told(request, self._metadefs.properties, documents.properties_document)

    async def add_property(self, request: Request) -> Response:
        body = await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.add_property(caller, name, body),
            documents.property_document,
            201,
        )

    async def delete_properties(self, request: Request) -> Response:
        return await self._done(request, self._metadefs.delete_properties)

    async def property(self, request: Request) -> Response:
        wanted = request.path_params["name"]
        return await self._told(
            request,
            lambda caller, name: self._metadefs.property(caller, name, wanted, _resource_type(request)),
            documents.property_document,
        )

    async def replace_property(self, request: Request) -> Response:
        wanted, body = request.path_params["name"], await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.replace_property(caller, name, wanted, body),
            documents.property_document,
        )

    async def delete_property(self, request: Request) -> Response:
        return await self._done_to(request, self._metadefs.delete_property)

    # --- Objects ---------------------------------------------------------------------------------

    async def objects(self, request: Request) -> Response:
        page = page_of_parts(request.query_params.multi_items())
        name = request.path_params["namespace"]
        found = await self._calls.run(lambda: self._metadefs.objects(caller(request), name, page))
        return json_answer(documents.objects_document(name, found))

    async def add_object(self, request: Request) -> Response:
        body, namespace = await json_object(request), request.path_params["namespace"]
        return await self._told(
            request,
            lambda caller, name: self._metadefs.add_object(caller, name, body),
            lambda made: documents.object_document(namespace, made, created=True),
            201,
        )

    async def delete_objects(self, request: Request) -> Response:
        return await self._done(request, self._metadefs.delete_objects)

    async def object(self, request: Request) -> Response:
        namespace, wanted = request.path_params["namespace"], request.path_params["name"]
        return await self._told(
            request,
            lambda caller, name: self._metadefs.object(caller, name, wanted),
            lambda found: documents.object_document(namespace, found),
        )

    async def replace_object(self, request: Request) -> Response:
        namespace, wanted = request.path_params["namespace"], request.path_params["name"]
        body = await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.replace_object(caller, name, wanted, body),
            lambda found: documents.object_document(namespace, found),
        )

    async def delete_object(self, request: Request) -> Response:
        return await self._done_to(request, self._metadefs.delete_object)

    # --- Tags ------------------------------------------------------------------------------------

    async def tags(self, request: Request) -> Response:
        page = page_of_parts(request.query_params.multi_items())
        return await self._told(
            request, lambda caller, name: self._metadefs.tags(caller, name, page), documents.tags_document
        )

    async def set_tags(self, request: Request) -> Response:
        body = await json_object(request)
        append = request.headers.get("x-openstack-append", "").strip().lower() in _TRUE
        return await self._told(
            request,
            lambda caller, name: self._metadefs.set_tags(caller, name, body, append=append),
            documents.tags_document,
            201,
        )

    async def delete_tags(self, request: Request) -> Response:
        return await self._done(request, self._metadefs.delete_tags)

    async def tag(self, request: Request) -> Response:
        wanted = request.path_params["name"]
        return await self._told(
            request, lambda caller, name: self._metadefs.tag(caller, name, wanted), documents.tag_document
        )

    async def add_tag(self, request: Request) -> Response:
        new_name = request.path_params["name"]
        return await self._told(
            request, lambda caller, name: self._metadefs.add_tag(caller, name, new_name), documents.tag_document, 201
        )

    async def rename_tag(self, request: Request) -> Response:
        wanted, body = request.path_params["name"], await json_object(request)
        return await self._told(
            request,
            lambda caller, name: self._metadefs.rename_tag(caller, name, wanted, body),
            documents.tag_document,
        )

    async def delete_tag(self, request: Request) -> Response:
        return await self._done_to(request, self._metadefs.delete_tag)

    # --- What they share -------------------------------------------------------------------------

    async def _told(
        self,
        request: Request,
        use_case: Callable[[Caller, str], T],
        document: Callable[[T], dict[str, Any]],
        status: int = 200,
    ) -> Response:
        """Answer with the document of what a use case of one namespace returns."""
        name = request.path_params["namespace"]
        return json_answer(document(await self._calls.run(lambda: use_case(caller(request), name))), status)

    async def _done(self, request: Request, use_case: Callable[[Caller, str], None]) -> Response:
        name = request.path_params["namespace"]
        await self._calls.run(lambda: use_case(caller(request), name))
        return Response(status_code=204)

    async def _done_to(self, request: Request, use_case: Callable[[Caller, str, str], None]) -> Response:
        wanted = request.path_params["name"]
        return await self._done(request, lambda caller, name: use_case(caller, name, wanted))


def namespace_query(parameters: list[tuple[str, str]]) -> Query:
    """Read the query parameters of a list of namespaces; unknown ones say nothing, as in Glance.

    Raises:
        BadQuery, BadSortKey: A parameter has a value that it cannot have.
    """
    given = paging.once(parameters, _OF_LISTS)
    key = given.get("sort_key", "created_at")
    if key not in SORT_KEYS:
        raise BadSortKey(key, SORT_KEYS)
    visibility = given.get("visibility")
    if visibility is not None and visibility not in list(NamespaceVisibility):
        raise BadQuery(f"Invalid visibility value: {visibility[:40]!r}. It must be public or private.")
    return Query(
        limit=_limit(given, LIMIT_DEFAULT),
        marker=given.get("marker"),
        after=paging.place(given.get("after"), key),
        sort_key=key,
        sort_dir=_direction(given),
        visibility=None if visibility is None else NamespaceVisibility(visibility),
        owner=given.get("owner"),
        resource_types=tuple(filter(None, given.get("resource_types", "").split(","))),
    )


def page_of_parts(parameters: list[tuple[str, str]]) -> PageOfParts:
    """Read the query parameters of a list of objects or tags, which has no limit unless one is given."""
    given = paging.once(parameters, _OF_LISTS)
    return PageOfParts(
        limit=_limit(given, 0) if "limit" in given else None,
        marker=given.get("marker"),
        sort_key=given.get("sort_key", "created_at"),
        sort_dir=_direction(given),
    )


def _limit(given: dict[str, str], default: int) -> int:
    value = given.get("limit")
    if value is None:
        return default
    return clipped_limit(value, LIMIT_MAX)


def _direction(given: dict[str, str]) -> Literal["asc", "desc"]:
    match given.get("sort_dir", "desc"):
        case "asc":
            return "asc"
        case "desc":
            return "desc"
        case other:
            raise BadQuery(f"Invalid sort direction: {other[:40]}. It must be one of the following: asc, desc.")


def _link(parameters: list[tuple[str, str]]) -> str:
    query = urlencode(parameters, quote_via=quote)
    return f"{documents.NAMESPACES}?{query}" if query else documents.NAMESPACES


def _resource_type(request: Request) -> str | None:
    return paging.once(request.query_params.multi_items(), ("resource_type",)).get("resource_type")
