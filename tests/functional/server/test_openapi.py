"""The served OpenAPI document, and what follows from it for every route there is."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from functional.users import proof, users_file

ENDPOINT = "https://images.example.org/image"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service that wants to know who calls."""
    directory = tmp_path_factory.mktemp("openapi")
    toml = users_file(directory, ann=("a", "member"), root=("c", "admin"))
    process = HeadwaterProcess(directory, toml=f'[server]\npublic_endpoint = "{ENDPOINT}"\n{toml}')
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=30, trust_env=False) as client:
        yield client
    process.stop()


# What a part of an upload needs to get as far as its image.
PART = {"Upload-Offset": "0", "Upload-Complete": "?1", "Upload-Length": "2", "Tus-Resumable": "1.0.0"}


def operations(http: httpx.Client) -> list[tuple[str, str, dict[str, Any]]]:
    document = http.get("/openapi.json").raise_for_status().json()
    return [
        (path, method.upper(), operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_it_is_there_without_a_token_and_names_the_service(http: httpx.Client) -> None:
    answer = http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": ENDPOINT}]
    assert list(document["components"]["securitySchemes"]) == ["password"]
    assert str(document).count(str(proof("ann"))) == 0


def test_every_operation_asks_who_calls_but_those_that_say_they_do_not(http: httpx.Client) -> None:
    asked = 0
    for path, method, operation in operations(http):
        target = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
        for headers in ({}, {"Authorization": "Basic eDp5"}, {"X-Auth-Token": "x"}):
            body: dict[str, str] | None = None if method == "HEAD" else {}
            answer = http.request(method, target, headers=headers, json=body)
            if operation.get("security") == []:
                assert answer.status_code == 200, (method, path)
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == 'Basic realm="headwater"'
                asked += 1
    assert asked > 150


@pytest.mark.parametrize(
    "odd", ["x", "0", "null", "%27%20or%201%3D1", "x" * 300, "%E2%98%83", "..%5c", "%7B{id}%7D", "{id}%0A"]
)
def test_an_id_that_is_none_names_no_image_on_any_route(http: httpx.Client, odd: str) -> None:
    """Source: 3."""
    made = http.post("/v2/images", headers=proof("ann"), json={"visibility": "shared"}).raise_for_status().json()
    target_id = odd.replace("{id}", made["id"])
    try:
        for path, method, operation in operations(http):
            if "{image_id}" not in path:
                continue
            target = re.sub(r"\{\w+\}", "deactivate", path.replace("{image_id}", target_id))
            kinds = [*operation.get("requestBody", {}).get("content", {}), "application/json"]
            body = "[]" if method == "PATCH" else '{"member": "b", "status": "accepted"}'
            headers = {**proof("root"), **PART, "Content-Type": kinds[0]}
            answer = http.request(method, target, headers=headers, content=body)
            assert answer.status_code in (400, 403, 404, 405), (method, target, answer.text)
            if method in ("GET", "DELETE", "PATCH"):
                assert answer.status_code == 404, (method, target, answer.text)
    finally:
        assert http.delete(f"/v2/images/{made['id']}", headers=proof("ann")).status_code == 204


def test_an_id_in_upper_case_names_its_image_on_every_route(http: httpx.Client) -> None:
    """Glance compares an id as it is written."""
    for path, method, _ in operations(http):
        # The path of one copy is there where several stores are: see test_several_stores.py; a task, where one works.
        # Those of the cache are there where one is: see test_image_cache.py.
        elsewhere = ("{store}", "{upload_id}", "{task_id}", "/v2/cache/")
        is_there = "{image_id}" in path and not any(each in path for each in elsewhere)
        if is_there and method in ("GET", "HEAD", "DELETE"):
            document = {"visibility": "shared", "tags": ["x"]}
            made = http.post("/v2/images", headers=proof("ann"), json=document).raise_for_status().json()["id"]
            http.post(f"/v2/images/{made}/members", headers=proof("ann"), json={"member": "x"}).raise_for_status()
            target = re.sub(r"\{\w+\}", "x", path.replace("{image_id}", made.upper()))
            assert http.request(method, target, headers=proof("root")).status_code in (200, 204), (method, target)
            http.delete(f"/v2/images/{made}", headers=proof("ann"))
