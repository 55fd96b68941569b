from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import anyio
import pytest
from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route

from headwater.http.endpoint import Endpoint
from headwater.http.threads import Threads
from headwater.images.http.paths import IMAGE_API
from headwater.images.http_v2 import schemas
from headwater.images.http_v2.openapi.document import Proof, document, serve
from headwater.images.http_v2.routes import ImageApi, UseCases
from headwater.images.schemas import ImageSchemas
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.instances.api.guest_routes import guest_routes
from headwater.instances.api.openapi import of_instances
from headwater.instances.api.routes import instance_routes
from headwater.streams.http.sources import source_routes

SCHEMAS = ImageSchemas(ImagesSettings())
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


def described(proof: Proof = "none") -> dict[str, Any]:
    return document(SCHEMAS, schemas.by_path(SCHEMAS), proof, of_instances())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described()["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def paths(routes: Sequence[BaseRoute], above: str = "") -> Iterator[tuple[str, Route]]:
    """Yield every route there is with its whole path."""
    for route in routes:
        if isinstance(route, Mount) and route.path:  # without a path: the same again, by Accept
            yield from paths(route.routes, above + route.path)
        elif isinstance(route, Route):
            yield above + route.path, route


def test_the_document_has_every_route_with_its_methods_and_nothing_else() -> None:
    nothing = cast(Any, None)
    use_cases = UseCases(**dict.fromkeys(UseCases.__slots__, nothing))
    use_cases = replace(use_cases, images=Images(nothing, nothing, nothing, ImagesSettings()))
    served = set()
    others = source_routes(nothing, nothing, nothing, IMAGE_API)
    api = ImageApi(use_cases, Threads(nothing, nothing, nothing), endpoint=Endpoint(), others=others)
    instances = [*instance_routes(nothing, nothing, nothing, Endpoint()), *guest_routes(nothing, nothing)]
    for path, route in paths([*api.routes, *api.rest.routes, *instances]):
        methods: frozenset[str] = cast(Any, route.app).methods
        served |= {(path, method) for method in methods}
    assert len(served) > 50
    assert {(path, method.upper()) for path, method, _ in operations()} == served


def test_the_parameters_of_each_path_are_those_in_it() -> None:
    for path, item in described()["paths"].items():
        assert [each["name"] for each in item.get("parameters", [])] == re.findall(r"\{(\w+)\}", path), path


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    whole = described("keystone")
    used = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(whole)))
    there = {(kind, name) for kind, named in whole["components"].items() if kind != "securitySchemes" for name in named}
    assert used == there


def test_every_operation_has_a_name_of_its_own_and_links_lead_to_those_names() -> None:
    found = [operation["operationId"] for _, _, operation in operations()]
    assert len(found) == len(set(found))
    links = [
        link
        for _, _, operation in operations()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 20
    assert {link["operationId"] for link in links} <= set(found)


def test_every_schema_is_one() -> None:
    for name, schema in described()["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert "definitions" not in json.dumps(schema), name


def test_a_caller_may_send_what_is_writable_and_is_shown_everything() -> None:
    found = described()["components"]["schemas"]
    assert "status" not in found["NewImage"]["properties"]
    assert "checksum" in found["Image"]["required"]
    assert found["Image"]["properties"]["disk_format"]["enum"] == SCHEMAS.image["properties"]["disk_format"]["enum"]


@pytest.mark.parametrize(
    ("proof", "schemes"), [("none", set()), ("basic", {"password"}), ("keystone", {"token"})], ids=str
)
def test_the_proof_that_is_asked_for_is_the_one_of_the_deployment(proof: Proof, schemes: set[str]) -> None:
    whole = described(proof)
    assert set(whole["components"]["securitySchemes"]) == schemes
    assert [set(each) for each in whole["security"]] == [{name} for name in schemes]
    assert whole["paths"]["/versions"]["get"]["security"] == []
    assert "security" not in whole["paths"]["/v2/images"]["get"]


def test_the_server_is_where_the_client_came_from() -> None:
    handler = serve(SCHEMAS, schemas.by_path(SCHEMAS), "none", Endpoint())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/openapi.json",
        "query_string": b"",
        "headers": [(b"host", b"images.example:9292")],
        "scheme": "https",
        "server": ("127.0.0.1", 9292),
    }
    answer = anyio.run(handler, Request(scope))
    assert json.loads(bytes(answer.body))["servers"] == [{"url": "https://images.example:9292"}]
