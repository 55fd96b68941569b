from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
from headwater.instances.password.posting import PasswordSet, Posted
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.serving.limits import Limits
from headwater.instances.serving.waiting import Changes
from headwater.instances.snapshots.kept import Snapshots
from headwater.instances.snapshots.moment import Moment
from headwater.instances.snapshots.snapshot import Snapshot
from headwater.instances.tokens.tokens import Tokens
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


class Shelf:
    """Keeps passwords in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, instance_id: str) -> str | None:
        return self.kept.get(instance_id)

    def put(self, instance_id: str, value: str) -> None:
        if self.kept.setdefault(instance_id, value) != value:
            raise PasswordSet


@dataclass(frozen=True)
class Port:
    """The metadata port without sockets."""

    snapshots: Snapshots
    patience_s: float = 0.0
    run: Callable[[Callable[[], Any]], Awaitable[Any]] = at_once
    tokens: Tokens = field(default_factory=lambda: Tokens(lambda: [b"s" * 32], lambda: 1_000_000))
    passwords: Posted = field(default_factory=Shelf)
    only: str | None = None
    limits: Limits = field(default_factory=lambda: Limits(0, 60, time.monotonic))
    changes: Changes = field(default_factory=lambda: Changes(lambda _: {}))

    def get(
        self,
        path: str,
        *,
        client: str | None = "10.0.0.5",
        method: str = "GET",
        headers: Mapping[str, str] = _NOTHING,
        body: bytes = b"",
    ) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        app = application(
            self.snapshots,
            self.run,
            tokens=self.tokens,
            passwords=self.passwords,
            only=self.only,
            limits=self.limits,
            changes=self.changes,
            entropy=zeros,
            patience_s=self.patience_s,
        )
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "client": None if client is None else (client, 50000),
            "headers": [
                *([] if method == "PUT" else [(b"x-forwarded-for", b"10.0.0.5")]),
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
    registry = InstanceRows(database)
    registry.add(WEB_1)
    registry.add(replace(WEB_1, id=BARE.id, name="binary", addresses=("10.0.0.6",), user_data=b"\x1f\x8b\xff"))
    strict = replace(WEB_1, id=STRICT_ID, name="strict", addresses=(STRICT,), tokens="required", hop_limit=1)
    registry.add(strict)
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
        ("/latest", b"dynamic/\nmeta-data/\nuser-data", "text/plain; charset=UTF-8"),
        ("//latest///user-data/", WEB_1.user_data, "text/plain; charset=UTF-8"),
    ],
)
def test_a_document_comes_with_its_type_and_its_length(port: Port, path: str, body: bytes, content_type: str) -> None:
    answer = port.get(path)
    assert (answer.status, answer.body) == (200, body)
    tag = answer.headers.pop("etag")
    assert tag.startswith("W/") == path.endswith("/meta_data.json")
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


def test_what_has_a_new_seed_on_every_read_has_a_tag_for_all_the_rest(port: Port) -> None:
    answer = port.get("/openstack/latest/meta_data.json", headers={"if-none-match": '"any"'})
    assert (answer.status, answer.body) == (200, META_DATA)
    tag = answer.headers["etag"]
    assert port.get("/openstack/latest/meta_data.json", headers={"if-none-match": tag}).status == 304
    assert port.get("/openstack/latest/meta_data.json", headers={"if-match": tag}).status == 412  # never the same


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


def test_on_a_line_of_its_own_a_machine_is_known_whatever_it_says(port: Port) -> None:
    alone = replace(port, only=WEB_1.id)
    for client in (None, "192.0.2.77", "stdio"):
        assert alone.get("/latest/meta-data/hostname", client=client).body == WEB_1.hostname.encode()
    assert alone.get(f"/seed/{'x' * 32}/meta-data").status == 404
    assert replace(port, only="00000000-0000-0000-0000-000000000000").get("/").status == 404


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
    for path in ("/openstack/latest/meta_data.json", "/latest/user-data", "/"):
        answer = port.get(path, method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    if method != "POST":
        answer = port.get("/openstack/latest/password", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


# --- Session tokens -----------------------------------------------------------------------------------

STRICT_ID = "2a2f7a54-7a75-4f0c-8f7b-7f5a1bd0a3c1"
TTL, TOKEN = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
OTHER_TTL, OTHER_TOKEN = "x-metadata-token-ttl-seconds", "x-metadata-token"
STRICT = "10.0.0.7"  # gives nothing without a token


@pytest.mark.parametrize("path", ["/latest/api/token", "//latest//api/token/", "/meta-data/latest/api/token"])
def test_a_token_is_given_to_who_asks_with_put_and_opens_every_document(port: Port, path: str) -> None:
    given = port.get(path, method="PUT", client=STRICT, headers={TTL: "60"})
    assert (given.status, given.headers[TTL]) == (200, "60")
    assert len(given.body) < 70
    for document in ("/", "/latest/user-data", "/openstack/latest/meta_data.json", "/openstack/latest/password"):
        assert port.get(document, client=STRICT).status == 401
        for header in (TOKEN, "x-metadata-token"):
            assert port.get(document, client=STRICT, headers={header: given.body.decode()}).status == 200


def test_without_a_token_nobody_learns_which_documents_there_are(port: Port) -> None:
    assert port.get("/latest/nothing", client=STRICT).status == 401
    assert port.get("/latest/user-data", client=STRICT, method="DELETE").status == 401
    assert port.get("/openstack/latest/password", client=STRICT, method="POST", body=b"x").status == 401


def test_a_token_opens_the_documents_of_its_own_machine_only(port: Port) -> None:
    given = port.get("/latest/api/token", method="PUT", headers={TTL: "60"}).body.decode()
    assert port.get("/latest/user-data", headers={TOKEN: given}).status == 200
    assert port.get("/latest/user-data", client=STRICT, headers={TOKEN: given}).status == 401


def test_a_token_that_is_shown_has_to_be_good_where_none_is_needed(port: Port) -> None:
    for wrong in ("", "x", "é", "A" * 38, "A" * 5000):
        assert port.get("/latest/user-data", headers={TOKEN: wrong}).status == 401


def test_two_tokens_or_lifetimes_that_differ_are_none(port: Port) -> None:
    given = port.get("/latest/api/token", method="PUT", client=STRICT, headers={TTL: "60", OTHER_TTL: "60"})
    assert given.status == 200
    good = given.body.decode()
    for shown, status in (({TOKEN: good, OTHER_TOKEN: good}, 200), ({TOKEN: good, OTHER_TOKEN: "x"}, 401)):
        assert port.get("/latest/user-data", client=STRICT, headers=shown).status == status
    assert port.get("/latest/api/token", method="PUT", headers={TTL: "60", OTHER_TTL: "61"}).status == 400


@pytest.mark.parametrize("ttl", [None, "", "0", "-1", "21601", "1e3", " 5", "٣", "9" * 400])
def test_a_lifetime_that_no_token_has_is_400(port: Port, ttl: str | None) -> None:
    assert port.get("/latest/api/token", method="PUT", headers={} if ttl is None else {TTL: ttl}).status == 400


def test_a_token_is_asked_for_with_put_only(port: Port) -> None:
    for method in ("GET", "HEAD", "POST", "DELETE"):
        answer = port.get("/latest/api/token", method=method, headers={TTL: "60"})
        assert (answer.status, answer.headers["allow"]) == (405, "PUT")


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
def test_a_proxy_in_the_guest_gets_no_token_for_others(port: Port, header: str) -> None:
    answer = port.get("/latest/api/token", method="PUT", headers={TTL: "60", header: "10.0.0.5"})
    assert answer.status == 400
    assert b"proxy" in answer.body


# --- The password -------------------------------------------------------------------------------------


def test_the_guest_posts_its_password_once(port: Port) -> None:
    port = Port(port.snapshots)
    for version in ("2013-04-04", "latest"):
        assert port.get(f"/openstack/{version}/password").body == b""
    path = "/openstack/2013-04-04/password"
    assert port.get(path, method="POST", body=b"c2VjcmV0").status == 200
    assert port.get(path, method="POST", body=b"c2VjcmV0").status == 200
    assert port.get(path, method="POST", body=b"b3RoZXI=").status == 409
    assert port.get("/openstack/latest/password").body == b"c2VjcmV0"
    assert port.get("/openstack/latest/password", client="10.0.0.6").body == b""


@pytest.mark.parametrize("body", [b"", b"x" * 1021, b"x" * 100_000, b"\xff", b"a\0b"])
def test_what_is_no_password_is_400_and_not_kept(port: Port, body: bytes) -> None:
    port = Port(port.snapshots)
    assert port.get("/openstack/latest/password", method="POST", body=body).status == 400
    assert port.get("/openstack/latest/password").body == b""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b"x" * 1021, "has more than 1020 bytes"),
        ("ä".encode(), "has bytes that are not ASCII"),
        (b"\xff", "has bytes that are not ASCII"),
        (b"a\x00", "has control characters"),
        (b"a\x1b[2J", "has control characters"),
    ],
    ids=["empty", "long", "utf-8", "latin", "nul", "escape"],
)
def test_a_password_that_is_not_kept_is_refused_in_words_that_are_true(port: Port, body: bytes, says: str) -> None:
    answer = Port(port.snapshots).get("/openstack/latest/password", method="POST", body=body)
    assert f"The password {says}: send what" in answer.body.decode()


@pytest.mark.parametrize("body", [b"not base64!", b"AAAA\r\nBBBB\n", b"a\tb", b" ", b"x" * 1020])
def test_a_password_may_be_any_text_of_ascii(port: Port, body: bytes) -> None:
    port = Port(port.snapshots)
    assert port.get("/openstack/latest/password", method="POST", body=body).status == 200
    assert port.get("/openstack/latest/password").body == body


def test_before_its_version_there_is_no_password(port: Port) -> None:
    assert port.get("/openstack/2012-08-10/password").status == 404
    assert port.get("/openstack/2012-08-10/password", method="POST", body=b"x").status == 404


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

    def at(self, address: str, moment: Moment | None = None) -> Snapshot:
        if self.failures:
            self.failures -= 1
            raise Unavailable("postgresql://headwater@db.internal/headwater does not answer")
        return self.inner.at(address, moment)

    def moment(self, addresses: Collection[str] = ()) -> Moment:
        return self.inner.moment(addresses)


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
    app = application(port.snapshots, at_once, tokens=port.tokens, passwords=port.passwords)
    anyio.run(app, scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


def test_the_network_document_is_json(port: Port) -> None:
    answer = port.get("/openstack/latest/network_data.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == WEB_1.network_data


def test_nothing_of_a_path_is_read_from_the_disk(port: Port, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    assert port.get(f"/latest/meta-data/{tmp_path}/secret").status == 404
