"""Every row of ``compute_images.py`` against the real service, with users from a file."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest

from compatibility.compute_images import ROWS, SERVER
from compatibility.rows import JSON, Row
from functional.headwater_process import HeadwaterProcess
from functional.users import proof, users_file

OCTETS = {"Content-Type": "application/octet-stream"}
CASES = [
    pytest.param(row, id=f"{table}-{number}-{row.request[:50]}")
    for table, rows in ROWS.items()
    for number, row in enumerate(rows)
]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("compute")
    users = users_file(directory, ann=("a", "member"), ray=("a", "reader"), bob=("b", "member"))
    process = HeadwaterProcess(directory, toml=f"{users}\n[images]\ncompute_image_proxy = true\n")
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=60, trust_env=False) as client:
        yield client
    process.stop()


def ask(http: httpx.Client, who: str, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {**JSON, **({} if who == "nobody" else proof(who)), **more.pop("headers", {})}
    return http.request(method, path, headers=headers, **more)


def make(http: httpx.Client, mark: str, data: bytes | None = None, **said: Any) -> str:
    document = {"name": "n", "disk_format": "raw", "container_format": "bare", "row": mark, **said}
    image_id: str = ask(http, "ann", "POST", "/v2/images", json=document).raise_for_status().json()["id"]
    if data is not None:
        ask(http, "ann", "PUT", f"/v2/images/{image_id}/file", headers=OCTETS, content=data).raise_for_status()
    return image_id


def _snapshot(http: httpx.Client, mark: str) -> str:
    said = {"instance_uuid": SERVER, "image_type": "snapshot", "auto_disk_config": "True", "kind": "x", "os": "u"}
    return make(http, mark, b"0" * 100, min_ram=512, min_disk=3, **said)


def _deactivated(http: httpx.Client, mark: str) -> str:
    image_id = make(http, mark, b"0")
    ask(http, "ann", "POST", f"/v2/images/{image_id}/actions/deactivate").raise_for_status()
    return image_id


def _several(http: httpx.Client, mark: str) -> str:
    oldest = make(http, mark, b"0", name="a", os="u")
    make(http, mark, name="b", min_ram=512, min_disk=3)
    make(http, mark, b"0", name="c", os="u", instance_uuid=SERVER, image_type="snapshot")
    make(http, mark, name="d")
    make(http, mark, name="h", os_hidden=True)
    return oldest


STATES: dict[str, Callable[[httpx.Client, str], str]] = {
    "nothing": lambda _http, _mark: "",
    "queued": make,
    "protected": lambda http, mark: make(http, mark, protected=True),
    "snapshot": _snapshot,
    "deactivated": _deactivated,
    "several": _several,
}


@pytest.mark.parametrize("row", CASES)
def test_the_answer_is_what_clients_of_the_compute_api_expect(http: httpx.Client, row: Row) -> None:
    mark = secrets.token_hex(8)
    image_id = STATES[row.given](http, mark)
    facts = {"id": image_id, "ID": image_id.upper(), "mark": mark, "url": str(http.base_url).rstrip("/")}

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            for name, fact in facts.items():
                value = value.replace(f"{{{name}}}", fact)
        return value

    method, path = filled(row.request).split(" ", 1)
    more: dict[str, Any] = {"headers": dict(row.headers)}
    if row.json is not None:
        more["json"] = row.json
    if row.body is not None:
        more["content"] = row.body
    answer = ask(http, row.who, method, quote(path, safe="/?&=:%,+~"), **more)

    assert answer.status_code == row.status, answer.text
    assert filled(row.says) in answer.text
    if row.data is not None:
        assert answer.content == row.data
    if row.gives or row.lacks:
        image: Mapping[str, Any] = answer.json()["image"]
        assert {name: image.get(name) for name in row.gives} == {name: filled(row.gives[name]) for name in row.gives}
        assert not image.keys() & set(row.lacks)
    if row.names is not None:
        assert tuple(each["name"] for each in answer.json()["images"]) == row.names
    for name, value in row.sends.items():
        assert answer.headers.get(name) == value, name
    if row.then:
        after = ask(http, "ann", "GET", f"/v2/images/{image_id}").json()
        assert {name: after.get(name) for name in row.then} == dict(row.then)


def test_the_table_is_as_long_as_the_reference_is_wide() -> None:
    assert sum(len(rows) for rows in ROWS.values()) > 100


def test_next_links_lead_through_all_images_and_end(http: httpx.Client) -> None:
    mark = secrets.token_hex(8)
    made = [make(http, mark, name=f"n{number}") for number in range(5)]
    seen: list[str] = []
    following: str | None = f"/compute/v2/a/images?property-row={mark}&limit=2"
    while following is not None:
        page = ask(http, "ann", "GET", following).raise_for_status().json()
        seen += [each["id"] for each in page["images"]]
        following = page["images_links"][0]["href"] if "images_links" in page else None
    assert seen == made[::-1]


def test_without_the_setting_there_is_no_compute_api(tmp_path: Any) -> None:
    process = HeadwaterProcess(tmp_path)
    process.start()
    try:
        assert httpx.get(f"{process.images_url}/compute/v2.1/images", trust_env=False).status_code == 300
    finally:
        process.stop()
