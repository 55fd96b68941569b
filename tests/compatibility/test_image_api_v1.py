"""Every row of ``image_api_v1.py`` against the real service."""

from __future__ import annotations

import contextlib
import fnmatch
import http.client
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from compatibility.image_api_v1 import DATA, META, OCTETS, ROWS
from compatibility.rows import JSON, Row
from functional.headwater_process import HeadwaterProcess

V1 = "[images]\napi_v1 = true\n"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
CASES = [
    pytest.param(row, id=f"{table}-{number}-{row.request[:60]}")
    for table, rows in ROWS.items()
    for number, row in enumerate(rows)
]


class Client:
    """Sends exactly what it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {name: value for name, value in {**JSON, **(headers or {})}.items() if value or name.startswith(META)}
        chunked = "Transfer-Encoding" in sent
        content = iter([body[:7], body[7:]]) if chunked and body is not None else body
        self._connection.request(method, path, content, sent, encode_chunked=chunked)
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def close(self) -> None:
        self._connection.close()

    def json(self, method: str, path: str, document: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        status, _, text = self.request(method, path, headers, body)
        assert status < 300, text
        return json.loads(text) if text else None


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("v1"), toml=V1, workers=1)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(service: HeadwaterProcess) -> Iterator[Client]:
    made = Client(service.images_url)
    yield made
    made.close()


def _make(client: Client, mark: str, data: bytes | None = None, **said: Any) -> str:
    headers = {
        f"{META}{name}": value for name, value in {"disk_format": "raw", "container_format": "bare", **said}.items()
    }
    headers |= {f"{META}property-row": mark, **(OCTETS if data is not None else {})}
    status, _, text = client.request("POST", "/v1/images", headers, data)
    assert status == 201, text
    image_id: str = json.loads(text)["image"]["id"]
    return image_id


def _with(client: Client, image_id: str, **values: Any) -> str:
    """Say what v1 has no words for."""
    operations = [{"op": "add", "path": f"/{name}", "value": value} for name, value in values.items()]
    client.json("PATCH", f"/v2/images/{image_id}", operations, PATCH)
    return image_id


def _deactivated(client: Client, mark: str) -> str:
    image_id = _make(client, mark, DATA)
    client.json("POST", f"/v2/images/{image_id}/actions/deactivate")
    return image_id


def _deleted(client: Client, mark: str) -> str:
    image_id = _make(client, mark, DATA, name="gone")
    assert client.request("DELETE", f"/v1/images/{image_id}")[0] == 200
    return image_id


def _killed(client: Client, mark: str) -> str:
    image_id = _make(client, mark)
    assert client.request("PUT", f"/v1/images/{image_id}", {**OCTETS, f"{META}size": "1"}, DATA)[0] == 400
    return image_id


def _shared(client: Client, mark: str) -> str:
    image_id = _make(client, mark, DATA)
    document = {"memberships": [{"member_id": "p1", "can_share": True}, {"member_id": "p2"}]}
    client.json("PUT", f"/v1/images/{image_id}/members", document)
    return image_id


def _several(client: Client, mark: str) -> str:
    oldest = _make(client, mark, DATA, name="a", **{"property-os": "u", "property-kind": "x"})
    _make(client, mark, name="b", disk_format="qcow2", min_ram="512", min_disk="3", protected="True")
    _make(client, mark, DATA[:40], name="c", is_public="True", **{"property-os": "u"})
    _make(client, mark, name="d", container_format="ovf")
    _with(client, _make(client, mark, name="h"), os_hidden=True)  # which v1 does not list
    return oldest


STATES: dict[str, Callable[[Client, str], str]] = {
    "nothing": lambda _client, _mark: "",
    "queued": lambda client, mark: _make(client, mark, None, name="before", **{"property-p": "old"}),
    "formless": lambda client, mark: _make(client, mark, disk_format="", container_format=""),
    "announced": lambda client, mark: _make(client, mark, size="7"),
    "active": lambda client, mark: _make(client, mark, DATA),
    "public": lambda client, mark: _make(client, mark, is_public="True"),
    "private": lambda client, mark: _with(client, _make(client, mark), visibility="private"),
    "odd": lambda client, mark: _with(client, _make(client, mark), **{"name": "a\nb: c", "Two words": "x"}),
    "protected": lambda client, mark: _make(client, mark, protected="True"),
    "deactivated": _deactivated,
    "deleted": _deleted,
    "killed": _killed,
    "shared": _shared,
    "several": _several,
}


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, fact in facts.items():
            value = value.replace(f"{{{name}}}", fact)
        return value
    if isinstance(value, Mapping):
        return {name: _filled(each, facts) for name, each in value.items()}
    return value


@pytest.mark.parametrize("row", CASES)
def test_the_answer_is_what_clients_of_v1_expect(client: Client, row: Row) -> None:
    mark = secrets.token_hex(8)
    image_id = STATES[row.given](client, mark)
    facts = {"id": image_id, "mark": mark, "url": client.url, "n12": secrets.token_hex(6), "ID": image_id.upper()}
    method, path = _filled(row.request, facts).split(" ", 1)
    body = row.body if row.json is None else json.dumps(row.json).encode()
    status, headers, answer = client.request(
        method, quote(path, safe="/?&=:%,+~"), _filled(dict(row.headers), facts), body
    )

    text = answer.decode("utf-8", "replace")
    assert status == row.status, text
    if row.says:
        said = json.loads(text).get("message", text) if status >= 400 and text.startswith("{") else text
        assert _filled(row.says, facts) in said
    if row.data is not None:
        assert answer == row.data
    if row.gives:
        image = json.loads(answer)["image"]
        wanted = _filled(dict(row.gives), facts)
        wanted = {name: wanted[name] for name in wanted if name != "properties"}
        assert {name: image[name] for name in wanted} == wanted
        if "properties" in row.gives:
            assert image["properties"] == row.gives["properties"]
    if row.names is not None:
        assert tuple(image["name"] for image in json.loads(answer)["images"]) == row.names
    for name, value in _filled(dict(row.sends), facts).items():
        got = headers.get(name)
        assert got == value or (value is not None and got is not None and fnmatch.fnmatchcase(got, value)), (name, got)
    if row.then:
        after = client.json("GET", f"/v2/images/{image_id or json.loads(answer)['image']['id']}")
        assert {name: after[name] for name in row.then} == dict(row.then)


def test_every_row_says_where_its_expectation_comes_from() -> None:
    rows = [row for table in ROWS.values() for row in table]
    assert len(rows) > 150
    assert all(row.source[:1].isdigit() for row in rows)


def test_what_a_list_shows_and_a_head_says_can_be_sent_back(client: Client) -> None:
    """As glance-replicator does: what it was told of an image becomes headers, nulls and times included."""
    mark = secrets.token_hex(8)
    image_id = _make(client, mark, DATA, name="x", is_public="True", **{"property-a": "b"})
    page = client.json("GET", f"/v1/images/detail?is_public=None&property-row={mark}")
    (shown,) = page["images"]
    _, headers, _ = client.request("HEAD", f"/v1/images/{image_id}")
    told = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
    properties = shown.pop("properties")
    assert set(shown) <= set(told)
    sent = {f"{META}{name}": str(value) for name, value in shown.items()}
    sent |= {f"{META}property-{name}": value for name, value in properties.items()}
    status, _, text = client.request("PUT", f"/v1/images/{image_id}", sent, b"")
    assert status == 200, text
    after = json.loads(text)["image"]
    ignored = ("updated_at",)
    assert {n: v for n, v in after.items() if n not in ignored} == {
        **{n: v for n, v in shown.items() if n not in ignored},
        "properties": properties,
    }


def test_a_change_leaves_the_properties_that_belong_to_headwater_and_finds_those_that_headers_fold(
    client: Client,
) -> None:
    image_id = _with(client, _make(client, "m"), **{"Hw-Disk": "scsi"})
    status, _, text = client.request("PUT", f"/v1/images/{image_id}", {f"{META}property-hw_disk": "ide"})
    assert status == 200, text
    assert json.loads(text)["image"]["properties"] == {"Hw-Disk": "ide"}


def test_pages_of_deleted_and_living_images_are_one_list(client: Client) -> None:
    mark = secrets.token_hex(8)
    made = [_make(client, mark, name=f"n{number}") for number in range(7)]
    for image_id in (made[0], made[3], made[4], made[6]):
        assert client.request("DELETE", f"/v1/images/{image_id}")[0] == 200
    for key, order in (("created_at", made), ("name", made)):
        for direction, wanted in (("asc", order), ("desc", order[::-1])):
            seen: list[str] = []
            where = f"property-row={mark}&is_public=None&changes-since=2001-01-01&limit=2"
            while True:
                marker = f"&marker={seen[-1]}" if seen else ""
                path = f"/v1/images/detail?{where}&sort_key={key}&sort_dir={direction}{marker}"
                page = [image["id"] for image in client.json("GET", path)["images"]]
                if not page:
                    break
                seen += page
            assert seen == wanted, (key, direction)


def test_members_are_replaced_all_at_once(client: Client) -> None:
    image_id = _shared(client, "m")
    document = {"memberships": [{"member_id": "p1"}, {"member_id": "p3", "can_share": True}]}
    client.json("PUT", f"/v1/images/{image_id}/members", document)
    members = client.json("GET", f"/v1/images/{image_id}/members")["members"]
    # What is not said of p1 stays.
    assert members == [{"member_id": "p1", "can_share": True}, {"member_id": "p3", "can_share": True}]


def test_without_the_setting_there_is_no_v1(tmp_path: Any) -> None:
    process = HeadwaterProcess(tmp_path, workers=1)
    process.start()
    try:
        with contextlib.closing(Client(process.images_url)) as client:
            status, _, text = client.request("GET", "/v1/images")
        assert (status, b"v1." in text) == (300, False)
    finally:
        process.stop()
