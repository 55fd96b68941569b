"""Every row of ``projects.py`` against the real service, with users from a file."""

from __future__ import annotations

import fnmatch
import secrets
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from compatibility.projects import OCTETS, ROWS, V21
from compatibility.rows import Row
from functional.headwater_process import HeadwaterProcess
from functional.users import proof, users_file

CASES = [
    pytest.param(row, id=f"{table}-{number}-{row.who} {row.request[:50]}")
    for table, rows in ROWS.items()
    for number, row in enumerate(rows)
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("projects")
    users = users_file(directory, ann=("a", "member"), ray=("a", "reader"), bob=("b", "member"), root=("c", "admin"))
    process = HeadwaterProcess(directory, toml=users)
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=60, trust_env=False) as client:
        yield client
    process.stop()


def ask(http: httpx.Client, who: str, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {"Accept": "application/json", **({} if who == "nobody" else proof(who)), **more.pop("headers", {})}
    return http.request(method, path, headers=list(_raw(headers)), **more)


def _raw(headers: dict[str, str]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers.items():
        yield name.encode(), value.encode("latin-1")


def make(http: httpx.Client, given: str, mark: str) -> str:
    """Make ann's image in the state ``given``, called ``mark``; return its id."""
    visibility = given if given in ("public", "private", "community") else "shared"
    first = "private" if visibility == "public" else visibility  # only root makes an image public
    document = {"name": mark, "disk_format": "raw", "container_format": "bare", "tags": ["t"], "visibility": first}
    image_id: str = ask(http, "ann", "POST", "/v2/images", json=document).raise_for_status().json()["id"]
    path = f"/v2/images/{image_id}"
    ask(http, "ann", "PUT", f"{path}/file", headers=OCTETS, content=b"data").raise_for_status()
    if visibility == "public":
        ask(http, "root", "PATCH", path, headers=V21, json=_replace("visibility", "public")).raise_for_status()
    if given == "deactivated":
        ask(http, "ann", "POST", f"{path}/actions/deactivate").raise_for_status()
    if given in ("pending", "accepted", "rejected", "shared once"):
        for project in ("b", "c"):
            ask(http, "ann", "POST", f"{path}/members", json={"member": project}).raise_for_status()
    if given in ("accepted", "rejected"):
        ask(http, "bob", "PUT", f"{path}/members/b", json={"status": given}).raise_for_status()
    if given == "shared once":
        ask(http, "ann", "PATCH", path, headers=V21, json=_replace("visibility", "private")).raise_for_status()
    if given == "shared with others":
        ask(http, "ann", "POST", f"{path}/members", json={"member": "c"}).raise_for_status()
    return image_id


def _replace(name: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": f"/{name}", "value": value}]


@pytest.mark.parametrize("row", CASES)
def test_the_answer_is_what_this_caller_gets_of_glance(http: httpx.Client, row: Row) -> None:
    mark = secrets.token_hex(8)
    image_id = "" if row.given == "nothing" else make(http, row.given, mark)

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(each) for name, each in value.items()}
        return value.replace("{id}", image_id).replace("{mark}", mark) if isinstance(value, str) else value

    method, path = filled(row.request).split(" ", 1)
    content: dict[str, Any] = {"content": row.body} if row.json is None else {"json": filled(row.json)}
    answer = ask(http, row.who, method, path, headers=dict(row.headers), **content)
    try:
        assert answer.status_code == row.status, answer.text
        assert filled(row.says) in (answer.json()["message"] if answer.status_code >= 400 else answer.text)
        assert filled(dict(row.gives)).items() <= (answer.json() if row.gives else {}).items()
        for name, value in row.sends.items():
            assert fnmatch.fnmatchcase(answer.headers.get(name, "(absent)"), value or "(absent)"), name
        if row.names is not None:
            assert [image["name"] for image in answer.json()["images"]] == [filled(name) for name in row.names]
    finally:
        made = [answer.json()["id"]] if answer.status_code == 201 else []
        for each in (*made, *([image_id] if image_id else [])):
            ask(http, "root", "DELETE", f"/v2/images/{each}")


def test_every_row_says_where_its_expectation_comes_from() -> None:
    rows = [row for table in ROWS.values() for row in table]
    assert len(rows) > 80
    assert all(row.source[:1].isdigit() for row in rows)
