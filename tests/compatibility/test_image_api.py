"""Every row of ``image_api.py`` against the real service."""

from __future__ import annotations

import fnmatch
import http.client
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from compatibility.image_api import ROWS
from compatibility.image_api.requests import DATA, ODD_NAMES
from compatibility.rows import JSON, Row
from functional.headwater_process import HeadwaterProcess

CASES = [
    pytest.param(row, id=f"{table}-{number}-{row.request[:60]}")
    for table, rows in ROWS.items()
    for number, row in enumerate(rows)
]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends exactly what it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        sent = {name: value for name, value in {**JSON, **(headers or {})}.items() if value or name not in _ABSENT}
        chunked = "Transfer-Encoding" in sent
        content = iter([body[:7], body[7:]] if body else []) if chunked and body is not None else body
        self._connection.request(method, path, content, sent, encode_chunked=chunked)
        answer = self._connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())

    def close(self) -> None:
        self._connection.close()


_ABSENT = frozenset({"Accept", "Content-Type"})  # an empty value in a row leaves these headers out


@pytest.fixture
def client(headwater: HeadwaterProcess) -> Iterator[Client]:
    made = Client(headwater.images_url)
    yield made
    made.close()


@pytest.fixture
def mark(client: Client) -> Iterator[str]:
    """A value that only the images of one test have, which are removed after it."""
    value = secrets.token_hex(8)
    yield value
    for hidden in ("true", "false"):
        for image in client.request("GET", f"/v2/images?row={value}&limit=1000&os_hidden={hidden}").json["images"]:
            if image["protected"]:
                _patch(client, image["id"], protected=False)
            client.request("DELETE", f"/v2/images/{image['id']}")


def _make(client: Client, mark: str, data: bytes | None = None, **document: Any) -> str:
    body = {"disk_format": "raw", "container_format": "bare", "row": mark, **document}
    answer = client.request("POST", "/v2/images", body=json.dumps(body).encode())
    assert answer.status == 201, answer.body
    image_id: str = answer.json["id"]
    if data is not None:
        octets = {"Content-Type": "application/octet-stream"}
        assert client.request("PUT", f"/v2/images/{image_id}/file", octets, data).status == 204
    return image_id


def _patch(client: Client, image_id: str, **values: Any) -> None:
    operations = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()]
    media_type = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    answer = client.request("PATCH", f"/v2/images/{image_id}", media_type, json.dumps(operations).encode())
    assert answer.status == 200, answer.body


def _queued(client: Client, mark: str) -> str:
    return _make(client, mark, name="before", tags=["t"], p="old")


def _active(client: Client, mark: str) -> str:
    return _make(client, mark, DATA)


def _deactivated(client: Client, mark: str) -> str:
    image_id = _make(client, mark, DATA)
    assert client.request("POST", f"/v2/images/{image_id}/actions/deactivate").status == 204
    return image_id


def _deleted(client: Client, mark: str) -> str:
    image_id = _make(client, mark, DATA)
    assert client.request("DELETE", f"/v2/images/{image_id}").status == 204
    return image_id


def _several(client: Client, mark: str) -> str:
    """See ``image_api.ALL``."""
    oldest = _make(
        client,
        mark,
        DATA,
        name="a",
        visibility="public",
        min_ram=512,
        owner="p1",
        os_distro="ubuntu",
        os_version="24.04",
    )
    _make(client, mark, b"", name="b", tags=["red"])
    _make(
        client,
        mark,
        name="B",
        disk_format="qcow2",
        tags=["red", "blue"],
        os_distro="ubuntu",
        os_version="22.04",
        visibility="community",
    )
    nameless = _make(client, mark, DATA)
    assert client.request("POST", f"/v2/images/{nameless}/actions/deactivate").status == 204
    _make(client, mark, name="x:y", disk_format="iso")
    _make(client, mark, name="h", os_hidden=True)
    return oldest


SIGNED: dict[str, Any] = {
    "img_signature": "YWJj",
    "img_signature_hash_method": "SHA-256",
    "img_signature_key_type": "RSA-PSS",
    "img_signature_certificate_uuid": "0f8b9a52-6c1f-4b0e-9a39-6a1f7c1f6d01",
}
STATES: dict[str, Callable[[Client, str], str]] = {
    "nothing": lambda _client, _mark: "",
    "queued": _queued,
    "queued qcow2": lambda client, mark: _make(client, mark, disk_format="qcow2"),
    "queued ovf": lambda client, mark: _make(client, mark, disk_format="vmdk", container_format="ovf"),
    "formless": lambda client, mark: _make(client, mark, disk_format=None, container_format=None),
    "half signed": lambda client, mark: _make(client, mark, img_signature="YWJj", img_signature_key_type="DSA"),
    "signed": lambda client, mark: _make(client, mark, **SIGNED),
    "active": _active,
    "active empty": lambda client, mark: _make(client, mark, b""),
    "deactivated": _deactivated,
    "deleted": _deleted,
    "protected": lambda client, mark: _make(client, mark, protected=True),
    "hidden": lambda client, mark: _make(client, mark, os_hidden=True),
    "oddly tagged": lambda client, mark: _make(client, mark, tags=list(ODD_NAMES.values())),
    "full of tags": lambda client, mark: _make(client, mark, tags=[f"t{number}" for number in range(128)]),
    "several": _several,
}


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    """Return ``value`` with every ``{name}`` in its texts replaced."""
    if isinstance(value, str):
        for name, fact in facts.items():
            value = value.replace(f"{{{name}}}", fact)
        return value
    if isinstance(value, dict):
        return {_filled(key, facts): _filled(each, facts) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, facts) for each in value]
    return value


@pytest.mark.parametrize("row", CASES)
def test_the_answer_is_what_clients_of_glance_expect(client: Client, mark: str, row: Row) -> None:
    image_id = STATES[row.given](client, mark)
    facts = {"id": image_id, "mark": mark, "url": client.url, "n12": secrets.token_hex(6)}
    facts |= {name.upper(): facts[name].upper() for name in ("id", "n12")}
    method, path = _filled(row.request, facts).split(" ", 1)
    body = row.body
    if row.json is not None:
        document = _filled(row.json, facts)
        if method == "POST" and isinstance(document, dict) and row.status == 201:
            document = {**document, **({"row": mark} if len(document) < 128 else {})}  # so that it is removed
        body = json.dumps(document).encode()
    answer = client.request(method, quote(path, safe='/?&=:%,+<>"~'), row.headers, body)

    text = answer.body.decode("utf-8", "replace")
    assert answer.status == row.status, text
    _require_body(row, answer, facts)
    for name, value in _filled(dict(row.sends), facts).items():
        got = answer.headers.get(name)
        assert got == value or (value is not None and got is not None and fnmatch.fnmatchcase(got, value)), name
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    if answer.status == 201 and mark not in text:
        client.request("DELETE", f"/v2/images/{answer.json['id']}")
    if row.then:
        after = client.request("GET", f"/v2/images/{image_id}").json
        assert {name: after[name] for name in row.then} == dict(row.then)


def _require_body(row: Row, answer: Answer, facts: Mapping[str, str]) -> None:
    text = answer.body.decode("utf-8", "replace")
    if row.says:
        said = str(answer.json.get("message", text)) if answer.status >= 400 and text.startswith("{") else text
        assert _filled(row.says, facts) in said
    if row.data is not None:
        assert answer.body == row.data
    if row.gives:
        document = answer.json
        wanted = _filled(dict(row.gives), facts)
        assert {name: document.get(name, "(absent)") for name in wanted} == wanted
    if row.lacks:
        assert not set(row.lacks) & set(answer.json)
    if row.names is not None:
        assert tuple(image["name"] for image in answer.json["images"]) == row.names


def test_every_row_says_where_its_expectation_comes_from() -> None:
    rows = [row for table in ROWS.values() for row in table]
    assert len(rows) > 300
    assert all(row.source[:1].isdigit() for row in rows)


def test_paging_through_two_tags_keeps_both(client: Client, mark: str) -> None:
    """Source: 25 (8); Glance forgets the first tag after the first page."""
    both = [_make(client, mark, name=f"n{number}", tags=["red", "blue"]) for number in range(3)]
    for _ in range(3):
        _make(client, mark, name="only red", tags=["red"])
        _make(client, mark, name="only blue", tags=["blue"])
    path: str | None = f"/v2/images?row={mark}&tag=red&tag=blue&limit=1&sort_dir=asc"
    seen = []
    while path is not None:
        page = client.request("GET", path).json
        seen += [image["id"] for image in page["images"]]
        path = page.get("next")
    assert seen == both


def test_an_etag_spares_the_data(client: Client, mark: str) -> None:
    image_id = _active(client, mark)
    first = client.request("GET", f"/v2/images/{image_id}/file")
    etag = first.headers["etag"]
    again = client.request("GET", f"/v2/images/{image_id}/file", {"If-None-Match": f'"x", {etag}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    part = client.request("GET", f"/v2/images/{image_id}/file", {"If-Range": etag, "Range": "bytes=0-1"})
    assert (part.status, part.body) == (206, DATA[:2])
