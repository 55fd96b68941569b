"""What a trusted proxy tells decides on links, on the client in the logs, and on which instance asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until

IMAGE = {"name": "x", "disk_format": "raw", "container_format": "bare"}
CLIENT, GUEST, STRANGER = "203.0.113.7", "192.0.2.9", "198.51.100.1"
TOLD = {
    "X-Forwarded-For": f"{STRANGER}, {CLIENT}",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "images.example.org",
    "X-Forwarded-Prefix": "/cloud",
}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """A service that takes this machine for its proxy, on both listeners."""
    toml = """
        images = { api_v1 = true }
        server = { trusted_proxies = ["127.0.0.0/8"], metadata_trusted_proxies = ["127.0.0.1"] }
    """
    process = HeadwaterProcess(tmp_path_factory.mktemp("headwater"), toml=toml)
    process.start()
    try:
        for name, address in (("guest", GUEST), ("stranger", STRANGER)):
            done = process.command("instance", "add", "--name", name, "--address", address)
            assert done.returncode == 0, done.stderr
        yield process
    finally:
        process.stop()


def links(service: HeadwaterProcess, headers: dict[str, str]) -> list[str]:
    """Return where each kind of link leads: versions, ``/v2``, a new image in both APIs, a task, a namespace."""
    with httpx.Client(base_url=service.images_url, headers=headers, timeout=60) as api:
        found = [api.get("/").json()["versions"][0]["links"][0]["href"], api.get("/v2").headers["location"]]
        found.append(api.post("/v2/images", json=IMAGE).headers["location"])
        found.append(api.post("/v1/images", headers={"x-image-meta-name": "y"}).headers["location"])
        namespace = {"namespace": f"ns-{len(service.requests())}"}
        found.append(api.post("/v2/metadefs/namespaces", json=namespace).headers["location"])
    return found


@pytest.mark.parametrize("headers", [TOLD, {"Forwarded": f"for={CLIENT};proto=https;host=images.example.org"}])
def test_every_link_leads_to_the_proxy(behind: HeadwaterProcess, headers: dict[str, str]) -> None:
    prefix = headers.get("X-Forwarded-Prefix", "")
    for link in links(behind, headers):
        assert link.startswith(f"https://images.example.org{prefix}/v")


def test_a_request_that_comes_straight_has_the_other_name(behind: HeadwaterProcess) -> None:
    for link in links(behind, {}):
        assert link.startswith(f"{behind.images_url}/v")


def test_log_and_audit_have_the_client_s_address(behind: HeadwaterProcess) -> None:
    answer = httpx.post(f"{behind.images_url}/v2/images", json=IMAGE, headers=TOLD)

    def own() -> list[dict[str, Any]]:
        return [line for line in behind.logs() if line.get("request_id") == answer.headers["x-openstack-request-id"]]

    # The request, whose line comes after its answer, and its record.
    wait_until(lambda: len(own()) == 2, "both lines are written")
    assert {line["client"] for line in own()} == {CLIENT}


def test_what_cannot_be_followed_is_refused_and_logged(behind: HeadwaterProcess) -> None:
    for url in (behind.images_url, behind.metadata_url):
        answer = httpx.get(f"{url}/", headers={"Forwarded": 'for="', "Accept": "application/json"})
        assert answer.status_code == 400
        assert "Forwarded" in answer.text
    wait_until(lambda: bool(behind.requests(status=400, listener="images")), "the line is written")
    assert behind.requests(status=400, listener="images")[-1]["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Forwarded": 'for="'}),
        ("GET", {"X-Forwarded-For": "<b>"}),
        ("GET", {"X-Openstack-Request-Id": "<b>"}),
        ("POST", {"Content-Encoding": "gzip"}),
        ("PUT", {"Content-Range": "bytes 0-0/1"}),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_guests_are_told_of_every_refusal_in_plain_words(
    behind: HeadwaterProcess, method: str, headers: dict[str, str]
) -> None:
    path = f"{behind.metadata_url}/openstack/latest/password"
    for accept in ("*/*", "text/html", "application/json"):
        answer = httpx.request(
            method, path, headers={**headers, "Accept": accept}, content=b"x" if method != "GET" else None
        )
        assert answer.status_code in (400, 415)
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        line, empty, words = answer.text.splitlines()
        assert line.startswith(str(answer.status_code))
        assert not empty
        assert words


@pytest.mark.parametrize("body", [b"-3\r\nabc\r\n0\r\n\r\n", b"3\nabc\n0\n\n", b"FFFFFFFFFFFFFFFFF\r\nabc"])
def test_a_guest_s_body_that_is_not_framed_as_http_says_is_its_own_fault(behind: HeadwaterProcess, body: bytes) -> None:
    head = (
        b"POST /openstack/latest/password HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"X-Forwarded-For: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % GUEST.encode()
    )
    where = httpx.URL(behind.metadata_url)
    with socket.create_connection((where.host, where.port), timeout=30) as connection:
        connection.sendall(head + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: text/plain" in answer
    assert b"is not framed as HTTP says" in answer


def test_the_instance_that_asks_is_the_one_before_the_proxy(behind: HeadwaterProcess) -> None:
    def hostname(headers: dict[str, str]) -> tuple[int, str]:
        answer = httpx.get(f"{behind.metadata_url}/latest/meta-data/hostname", headers=headers)
        return answer.status_code, answer.text

    assert hostname({"X-Forwarded-For": GUEST}) == (200, "guest")
    assert hostname({"Forwarded": f'for="{GUEST}:40000"'}) == (200, "guest")
    assert hostname({"X-Forwarded-For": f"{STRANGER}, {GUEST}"}) == (200, "guest")  # the guest wrote the first
    assert hostname({"X-Forwarded-For": "unknown"})[0] == 404
    assert hostname({})[0] == 404
    wait_until(lambda: bool(behind.requests(path="/latest/meta-data/hostname")), "the line is written")
    assert behind.requests(path="/latest/meta-data/hostname")[0]["client"] == GUEST


def test_nobody_is_believed_where_no_proxy_is_trusted(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml='[server]\ntrusted_proxies = ["192.0.2.0/24", "::1"]\n')
    assert service.command("instance", "add", "--name", "vm", "--address", GUEST).returncode == 0
    for headers in (TOLD, {"Forwarded": f"for={GUEST};proto=https;host=evil.example"}, {"Forwarded": 'for="'}):
        answer = httpx.get(f"{service.images_url}/v2", headers=headers)
        assert answer.headers["location"] == f"{service.images_url}/v2/"
    assert httpx.get(f"{service.metadata_url}/openstack", headers={"X-Forwarded-For": GUEST}).status_code == 404
    assert {line["client"] for line in service.requests()} == {"127.0.0.1"}


def test_a_public_endpoint_wins(fresh_headwater: FreshHeadwater) -> None:
    own = "https://set.example/images"
    service = fresh_headwater(toml=f'[server]\ntrusted_proxies = ["127.0.0.1"]\npublic_endpoint = "{own}"\n')
    assert httpx.get(f"{service.images_url}/v2", headers=TOLD).headers["location"] == f"{own}/v2/"


@pytest.mark.parametrize(
    "host", ["a b", "a/b", 'a"b', "a\\b", "a'b", "a<b>", "user@h", "h:port", "h:99999", "", "%0d%0a"]
)
def test_a_hostile_host_reaches_no_link(behind: HeadwaterProcess, host: str) -> None:
    answer = httpx.get(f"{behind.images_url}/v2", headers={"Host": host})
    if answer.status_code == 302:
        assert answer.headers["location"] == f"{behind.images_url}/v2/"
    else:
        assert answer.status_code == 400
