from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.instances.http import application
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshot, Snapshots
from templates import sqlite_catalogue
from unit.instances.examples import BARE, KEY, META_DATA, WEB_1, zeros

T = TypeVar("T")

_NOTHING: Mapping[str, str] = {}


async def in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work)


async def at_once(work: Callable[[], T]) -> T:
    return work()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Port:
    """The metadata port without sockets."""

    snapshots: Snapshots
    patience_s: float = 0.0
    run: Callable[[Callable[[], Any]], Awaitable[Any]] = at_once

    def get(
        self, path: str, *, client: str | None = "10.0.0.5", method: str = "GET", headers: Mapping[str, str] = _NOTHING
    ) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        app = application(self.snapshots, self.run, entropy=zeros, patience_s=self.patience_s)
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "client": None if client is None else (client, 50000),
            "headers": [
                (b"x-forwarded-for", b"10.0.0.5"),
                *((name.encode(), value.encode()) for name, value in headers.items()),
            ],
        }
        anyio.run(app, scope, receive, send)
        start, *bodies = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], told, b"".join(message.get("body", b"") for message in bodies))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("http") / "catalogue.db"))
    registry = Registry(database)
    registry.add(WEB_1)
    registry.add(replace(WEB_1, id=BARE.id, name="binary", addresses=("10.0.0.6",), user_data=b"\x1f\x8b\xff"))
    yield Port(Snapshots(registry))
    database.close()


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/latest/meta-data/public-keys/0/openssh-key", KEY.encode(), "text/plain; charset=UTF-8"),
        ("/latest/user-data", WEB_1.user_data, "text/plain; charset=UTF-8"),
        ("/openstack/latest/user_data", WEB_1.user_data, "text/plain; charset=UTF-8"),
        ("/openstack/latest/meta_data.json", META_DATA, "application/json"),
        ("/openstack/latest/vendor_data.json", b"{}", "application/json"),
        ("/openstack/latest/password", b"", "text/plain; charset=UTF-8"),
        ("/latest", b"meta-data/\nuser-data", "text/plain; charset=UTF-8"),
        ("//latest///user-data/", WEB_1.user_data, "text/plain; charset=UTF-8"),
    ],
)
def test_a_document_comes_with_its_type_and_its_length(port: Port, path: str, body: bytes, content_type: str) -> None:
    answer = port.get(path)
    assert (answer.status, answer.body) == (200, body)
    tag = answer.headers.pop("etag", None)
    assert (tag is None) == path.endswith("/meta_data.json")
    assert answer.headers == {"content-type": content_type, "content-length": str(len(body))}


def test_who_has_a_document_already_is_told_so_and_sent_nothing(port: Port) -> None:
    got = port.get("/latest/user-data")
    tag = got.headers["etag"]
    assert port.get("/openstack/latest/user_data").headers["etag"] == tag  # of the bytes, whatever they are called
    for method in ("GET", "HEAD"):
        for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = port.get("/latest/user-data", method=method, headers={"if-none-match": held})
            assert (answer.status, answer.headers, answer.body) == (304, {"etag": tag}, b"")
        other = port.get("/latest/user-data", method=method, headers={"if-none-match": '"other"'})
        assert (other.status, other.headers) == (200, got.headers)
    assert port.get("/latest/user-data", client="10.0.0.6").headers["etag"] != tag


def test_who_wants_a_document_only_as_it_was_gets_412_once_it_is_another(port: Port) -> None:
    tag = port.get("/latest/user-data").headers["etag"]
    assert port.get("/latest/user-data", headers={"if-match": tag}).status == 200
    refused = port.get("/latest/user-data", headers={"if-match": '"other"'})
    assert (refused.status, refused.headers["content-type"]) == (412, "text/plain; charset=UTF-8")
    assert b"If-Match" in refused.body


def test_what_is_new_on_every_read_has_no_tag_and_is_sent_each_time(port: Port) -> None:
    answer = port.get("/openstack/latest/meta_data.json", headers={"if-none-match": '"any"'})
    assert (answer.status, answer.body) == (200, META_DATA)
    assert "etag" not in answer.headers


def test_a_condition_tells_a_stranger_nothing(port: Port) -> None:
    for headers in ({"if-none-match": "*"}, {"if-match": '"other"'}):
        assert port.get("/latest/user-data", client="10.0.0.99", headers=headers).status == 404
        assert port.get("/nothing", headers=headers).status == 404


def test_binary_user_data_keeps_its_bytes_under_a_charset_that_carries_them(port: Port) -> None:
    answer = port.get("/latest/user-data", client="10.0.0.6")
    assert answer.body == b"\x1f\x8b\xff"
    assert answer.headers["content-type"] == "text/plain; charset=ISO-8859-1"


def test_head_says_what_get_would_send_and_sends_nothing(port: Port) -> None:
    for path in ("/latest/user-data", "/openstack/latest/meta_data.json", "/nothing", "/.."):
        get, head = port.get(path), port.get(path, method="HEAD")
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


def test_an_ipv4_caller_on_an_ipv6_listener_is_the_same_caller(port: Port) -> None:
    assert port.get("/latest/meta-data/hostname", client="::ffff:10.0.0.5").body == b"web-1.novalocal"


@pytest.mark.parametrize("path", ["/", "/latest", "/openstack", "/openstack/latest/meta_data.json", "/..", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
@pytest.mark.parametrize("client", ["10.0.0.99", "2001:db8::1", None])
def test_a_caller_that_nobody_registered_gets_404_for_everything(
    port: Port, path: str, method: str, client: str | None
) -> None:
    assert port.get(path, client=client, method=method).status == 404


def test_a_404_says_what_to_do(port: Port) -> None:
    body = port.get("/", client="10.0.0.99").body.decode()
    assert body.startswith("404 Not Found\n\n")
    assert "10.0.0.99" in body
    assert "headwater instance add" in body


@pytest.mark.parametrize("path", ["/latest/../openstack", "/..", "/latest/./meta-data", "/../../etc/passwd"])
def test_a_step_sideways_is_a_bad_request_that_says_so(port: Port, path: str) -> None:
    answer = port.get(path)
    assert answer.status == 400
    assert answer.body.startswith(b"400 Bad Request\n\nThe path holds a '.' or '..' segment")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"


@pytest.mark.parametrize("path", ["/latest/user-data/x", "/latest/meta-data/ami-id/x", "/2021-03-23/meta-data", "/x"])
def test_beside_the_trees_there_is_nothing(port: Port, path: str) -> None:
    answer = port.get(path)
    assert answer.status == 404
    assert answer.body.startswith(b"404 Not Found\n\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_documents_are_only_read(port: Port, method: str) -> None:
    for path in ("/openstack/latest/password", "/latest/user-data", "/"):
        answer = port.get(path, method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_there_are_no_session_tokens_yet_so_guests_fall_back_to_the_first_version(port: Port) -> None:
    assert port.get("/latest/api/token", method="PUT").status == 404


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40), st.sampled_from(["GET", "HEAD", "POST"]))
def test_no_path_breaks_the_service(port: Port, path: str, method: str) -> None:
    assert port.get(path, method=method).status in (200, 400, 404, 405)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "", "openstack", "latest", "ec2", "user_data"]), max_size=6).map("/".join))
def test_no_path_escapes_its_tree(port: Port, path: str) -> None:
    answer = port.get(f"/{path}")
    if {".", ".."} & set(path.split("/")):
        assert answer.status == 400
    else:
        assert answer.status in (200, 404)


class Flaky(Snapshots):
    """Fails as often as told, then answers."""

    def __init__(self, inner: Snapshots, failures: int) -> None:
        self.inner, self.failures = inner, failures

    def at(self, address: str) -> Snapshot:
        if self.failures:
            self.failures -= 1
            raise Unavailable("postgresql://headwater@db.internal/headwater does not answer")
        return self.inner.at(address)


def test_a_short_outage_of_the_catalogue_is_waited_out(port: Port) -> None:
    answer = Port(Flaky(port.snapshots, 1), patience_s=5, run=in_thread).get("/latest/meta-data/hostname")
    assert (answer.status, answer.body) == (200, b"web-1.novalocal")


def test_a_long_outage_is_503_with_the_time_to_come_back_and_no_inside_facts(port: Port) -> None:
    answer = Port(Flaky(port.snapshots, 100)).get("/latest/meta-data/hostname")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert b"db.internal" not in answer.body


def test_a_websocket_is_refused(port: Port) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "client": ("10.0.0.5", 1), "headers": []}
    anyio.run(application(port.snapshots, at_once), scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_the_network_document_is_json(port: Port) -> None:
    answer = port.get("/openstack/latest/network_data.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == WEB_1.network_data


def test_nothing_of_a_path_is_read_from_the_disk(port: Port, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    assert port.get(f"/latest/meta-data/{tmp_path}/secret").status == 404
